import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { FRAME, frame } from "../support/raw_http2.ts";
import { createFrameReader, createStatusReader } from "./connection.ts";

/** Lists all ways to split bytes in two. */
function splitInTwo(bytes: Buffer): readonly (readonly [Buffer, Buffer])[] {
  return Array.from({ length: bytes.length }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)] as const);
}

test("createStatusReader() counts each status line with its code, wherever the bytes are split", () => {
  const answers = Buffer.from(
    "HTTP/1.1 401 Unauthorized\r\n\r\n{}HTTP/1.1 429 Too\r\n\r\nHTTP/1.1 401 Unauthorized\r\n",
  );
  for (const pair of splitInTwo(answers)) {
    let seen = 0;
    const read = createStatusReader(401, () => seen++);
    for (const chunk of pair) read(chunk);
    assert.equal(seen, 2);
  }
});

test("createFrameReader() counts answers with 200, ended streams and answered PINGs, wherever the bytes are split", () => {
  const bytes = Buffer.concat([
    frame(FRAME.settings, 0, 0, Buffer.alloc(6)),
    frame(FRAME.headers, 4, 1, Buffer.of(0x3f, 0xe1, 0x1f, 0x88, 0x61)),
    frame(FRAME.data, 0, 1, Buffer.alloc(300, FRAME.headers)),
    frame(FRAME.headers, 4, 3, Buffer.of(0x88)),
    frame(FRAME.headers, 5, 5, Buffer.of(0x48, 0x03, 0x34, 0x32, 0x39)),
    frame(FRAME.data, 1, 3),
    frame(FRAME.reset, 0, 1, Buffer.alloc(4)),
    frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
    frame(FRAME.ping, 1, 0, Buffer.alloc(8)),
  ]);
  for (const pair of splitInTwo(bytes)) {
    let [answers, settled, pongs] = [0, 0, 0];
    const read = createFrameReader(() => answers++, () => settled++, () => pongs++);
    for (const chunk of pair) read(chunk);
    assert.deepEqual([answers, settled, pongs], [2, 3, 1]);
  }
});
