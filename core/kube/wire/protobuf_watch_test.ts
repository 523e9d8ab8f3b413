import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { DecodeError } from "./errors.ts";
import { decodeWatchFrames, encodeEnvelope, encodeWatchFrame, WatchFrameDecoder } from "./mod.ts";

const ADDED = encodeWatchFrame("ADDED", encodeEnvelope("v1", "Secret", Uint8Array.of(1, 2)));
const DELETED = encodeWatchFrame("DELETED", encodeEnvelope("v1", "Secret", new Uint8Array(300)));

test("encodeWatchFrame() writes length, type and the envelope in a RawExtension", () => {
  const envelope = encodeEnvelope("v1", "Secret", Uint8Array.of(1, 2));
  const length = Buffer.from(Uint8Array.of(0, 0, 0, ADDED.length - 4));
  const event = Buffer.concat([
    Buffer.from([0x0a, 5]),
    Buffer.from("ADDED"),
    Buffer.from([0x12, envelope.length + 2, 0x0a, envelope.length]),
    envelope,
  ]);
  assert.deepEqual(Buffer.from(ADDED), Buffer.concat([length, event]));
});

test("WatchFrameDecoder finds the same events however the bytes arrive", () => {
  const stream = Buffer.concat([ADDED, DELETED, ADDED]);
  fc.assert(fc.property(fc.array(fc.nat(stream.length), { maxLength: 8 }), (cuts) => {
    const decoder = new WatchFrameDecoder();
    const edges = [0, ...cuts.toSorted((a, b) => a - b), stream.length];
    const frames = edges.slice(1).flatMap((end, index) => [...decoder.push(stream.subarray(edges[index], end))]);
    assert.deepEqual(frames.map(({ type }) => type), ["ADDED", "DELETED", "ADDED"]);
    assert.deepEqual(frames.map(({ object }) => object.raw.length), [2, 300, 2]);
    assert.equal(decoder.isPartial, false);
  }));
});

test("WatchFrameDecoder refuses frames beyond 16 MiB and broken ones", () => {
  assert.throws(() => new WatchFrameDecoder().push(Uint8Array.of(2, 0, 0, 0)), {
    message: "object to decode was longer than maximum allowed size",
  });
  assert.throws(() => new WatchFrameDecoder().push(Uint8Array.of(0, 0, 0, 2, 0x0a, 9)), DecodeError);
});

test("decodeWatchFrames() reads a stream and notices that it stops inside a frame", async () => {
  async function* stream(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield await Promise.resolve(chunk);
  }
  const types: string[] = [];
  for await (const { type } of decodeWatchFrames(stream(ADDED, DELETED))) types.push(type);
  assert.deepEqual(types, ["ADDED", "DELETED"]);
  await assert.rejects(async () => {
    for await (const { type } of decodeWatchFrames(stream(ADDED.subarray(0, 7)))) types.push(type);
  }, { message: "unexpected EOF" });
});
