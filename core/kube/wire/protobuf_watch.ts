/**
 * The frames of a protobuf watch: four bytes of length, big-endian, then a bare `WatchEvent` whose object is a full
 * envelope (apimachinery `pkg/util/framer/framer.go`, apiserver `pkg/endpoints/handlers/watch.go`).
 */
import { Buffer } from "node:buffer";
import { DecodeError } from "./errors.ts";
import { decodeEnvelope, type Envelope, readFields } from "./protobuf_envelope.ts";
import { WireWriter } from "./wire_writer.ts";

/** One event of a watch. */
export interface WatchFrame {
  /** One of `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` and `ERROR`. */
  readonly type: string;
  readonly object: Envelope;
}

/** The largest frame that is accepted, which is client-go's limit (apimachinery `streaming.go`). */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const LENGTH_BYTES = 4;

/** Encodes one event around the envelope of its object. */
export function encodeWatchFrame(type: string, envelope: Uint8Array): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writer.nested(2, () => writer.bytes(1, envelope));
  writer.string(1, type);
  const { size } = writer;
  writer.raw([size >>> 24, size >>> 16, size >>> 8, size]);
  return writer.finish();
}

/** Decodes the bytes of a watch as they arrive into whole events. */
export class WatchFrameDecoder {
  #pending: Uint8Array = new Uint8Array();

  /** Adds bytes and returns the events that they complete. Throws `DecodeError` for a malformed or oversized frame. */
  push(chunk: Uint8Array): readonly WatchFrame[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: WatchFrame[] = [];
    for (;;) {
      if (this.#pending.length < LENGTH_BYTES) return frames;
      const view = new DataView(this.#pending.buffer, this.#pending.byteOffset, this.#pending.byteLength);
      const length = view.getUint32(0);
      if (length > MAX_FRAME_BYTES) throw new DecodeError("object to decode was longer than maximum allowed size");
      if (this.#pending.length < LENGTH_BYTES + length) return frames;
      frames.push(decodeWatchEvent(this.#pending.subarray(LENGTH_BYTES, LENGTH_BYTES + length)));
      this.#pending = this.#pending.subarray(LENGTH_BYTES + length);
    }
  }

  /** True if the bytes so far end inside a frame. */
  get isPartial(): boolean {
    return this.#pending.length > 0;
  }
}

/** Decodes a stream of bytes into events; throws `DecodeError` when the stream ends inside a frame. */
export async function* decodeWatchFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<WatchFrame> {
  const decoder = new WatchFrameDecoder();
  for await (const chunk of chunks) yield* decoder.push(chunk);
  if (decoder.isPartial) throw new DecodeError("unexpected EOF");
}

function decodeWatchEvent(bytes: Uint8Array): WatchFrame {
  let type = "";
  let raw: Uint8Array = new Uint8Array();
  try {
    readFields("WatchEvent", ["", "Type", "Object"], bytes, (name, content) => {
      if (name === "Type") type = Buffer.from(content).toString("utf8");
      else readFields("RawExtension", ["", "Raw"], content, (_name, object) => void (raw = object));
    });
  } catch (error) {
    throw new DecodeError("unexpected EOF", error);
  }
  return { type, object: decodeEnvelope(raw) };
}
