/** The envelope of every protobuf body: four magic bytes, then `runtime.Unknown` (csr-api.md section 3.1). */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { DecodeError } from "./errors.ts";

/** What an envelope says of the bytes inside. */
export interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  /** The encoded object. */
  readonly raw: Uint8Array;
}

/** `k8s` and a zero byte. */
const MAGIC: readonly number[] = [0x6b, 0x38, 0x73, 0x00];

/** Wraps an encoded object. */
export function encodeEnvelope(apiVersion: string, kind: string, raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter().raw(Uint8Array.from(MAGIC));
  writer.tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(apiVersion).tag(2, WireType.LengthDelimited).string(kind);
  writer.join();
  writer.tag(2, WireType.LengthDelimited).bytes(raw);
  // contentEncoding and contentType, always written and always empty.
  return writer.tag(3, WireType.LengthDelimited).string("").tag(4, WireType.LengthDelimited).string("").finish();
}

/** Unwraps a body; throws `DecodeError` with the serializer's text (apimachinery `protobuf.go`). */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length === 0) throw new DecodeError("empty data");
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw new DecodeError(
      `provided data does not appear to be a protobuf message, expected prefix [${MAGIC.join(" ")}]`,
    );
  }
  if (bytes.length === MAGIC.length) throw new DecodeError("empty body");
  try {
    return readUnknown(bytes.subarray(MAGIC.length));
  } catch (error) {
    throw new DecodeError("unexpected EOF", error);
  }
}

function readUnknown(bytes: Uint8Array): Envelope {
  const envelope = { apiVersion: "", kind: "", raw: new Uint8Array() as Uint8Array };
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) Object.assign(envelope, readTypeMeta(reader.bytes()));
    else if (number === 2 && wireType === WireType.LengthDelimited) envelope.raw = reader.bytes();
    else reader.skip(wireType, number);
  }
  return envelope;
}

function readTypeMeta(bytes: Uint8Array): { readonly apiVersion: string; readonly kind: string } {
  const typeMeta = { apiVersion: "", kind: "" };
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) typeMeta.apiVersion = reader.string();
    else if (number === 2 && wireType === WireType.LengthDelimited) typeMeta.kind = reader.string();
    else reader.skip(wireType, number);
  }
  return typeMeta;
}
