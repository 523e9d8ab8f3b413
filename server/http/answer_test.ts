import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate } from "node:timers";
import { ADMIN, createTestApp } from "../../tests/support/test_app.ts";
import { CHUNK_BYTES, isStream, sendAnswer, toChunks } from "./answer.ts";
import { fromRequest } from "../loopback.ts";

/** Creates bytes that differ from place to place. */
function createBytes(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + seed + (at >> 8)) % 251);
}

test("toChunks() returns every byte once, in chunks of equal size and a last one", () => {
  const cases = [
    { name: "no piece", lengths: [] },
    { name: "an empty piece", lengths: [0] },
    { name: "pieces of one chunk", lengths: [10, 0, CHUNK_BYTES - 10] },
    { name: "a piece over the end of a chunk", lengths: [CHUNK_BYTES - 1, 2, 3] },
    { name: "a piece of three chunks and five bytes", lengths: [7, 3 * CHUNK_BYTES + 5, 1] },
  ];
  for (const { name, lengths } of cases) {
    const pieces = lengths.map(createBytes);
    const chunks = [...toChunks(pieces)];
    assert.ok(Buffer.concat(chunks).equals(Buffer.concat(pieces)), name);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.length === CHUNK_BYTES), name);
  }
});

test("sendAnswer() does not touch a chunk again before it is written", async () => {
  const pieces = Array.from({ length: 40 }, (_, index) => createBytes(50_000 + index, index));
  const written: Buffer[] = [];
  // The stream accepts several chunks at once, and reads each only when it writes it.
  const slow = new Writable({
    highWaterMark: 8 * CHUNK_BYTES,
    write(chunk: Uint8Array, _encoding, done) {
      setImmediate(() => {
        written.push(Buffer.from(chunk));
        done();
      });
    },
  });
  const outgoing = Object.assign(slow, { writeHead() {} }) as unknown as ServerResponse;
  await sendAnswer({ status: 200, headers: {}, body: pieces }, outgoing);
  await new Promise((resolve) => slow.once("finish", resolve));
  assert.ok(Buffer.concat(written).equals(Buffer.concat(pieces)));
});

for (
  const { who, path, isUnlimited } of [
    { who: undefined, path: "/api/v1/nodes?watch=1", isUnlimited: false },
    { who: ADMIN, path: "/api/v1/nodes?watch=1&fieldSelector=spec.nothing=1", isUnlimited: false },
    { who: ADMIN, path: "/api/v1/nodes", isUnlimited: false },
    { who: ADMIN, path: "/api/v1/nodes?watch=1", isUnlimited: true },
    { who: ADMIN, path: "/tlsboot/snapshot", isUnlimited: true },
  ]
) {
  test(`createApp() gives ${who?.username ?? "an unauthenticated client"} ${isUnlimited ? "unlimited" : "limited"} time for ${path}`, async () => {
    await using app = await createTestApp();
    let streams = 0;
    const request = fromRequest(new Request(`https://api.test${path}`), {
      peer: undefined,
      remoteAddress: "192.0.2.1",
      user: who,
      connection: { authenticated: () => {}, markStreaming: () => streams++ },
    });
    const { body } = await app.api.app(request);
    assert.equal(streams, isUnlimited ? 1 : 0);
    if (isStream(body)) body.cancel();
  });
}
