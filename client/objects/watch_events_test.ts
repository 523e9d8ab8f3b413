import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { isAppError } from "../../core/errors.ts";
import { readJsonLines } from "./watch_events.ts";

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function collect(text: string, size: number): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const value of readJsonLines(inPieces(new TextEncoder().encode(text), size))) values.push(value);
  return values;
}

test("readJsonLines() yields the same values however the stream is split", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue()), fc.integer({ min: 1, max: 9 }), async (values, size) => {
      const lines = values.map((value) => JSON.stringify(value));
      const got = await collect(lines.map((line) => `${line}\n`).join(""), size);
      assert.deepEqual(got.map((value) => JSON.stringify(value)), lines);
    }),
  );
});

test("readJsonLines() distinguishes a stream cut in an event from one that ended", async () => {
  await assert.rejects(collect('{"a":1}\n{"b"', 4), (error) => isAppError(error, "unreachable") && error.retryable);
});

test("readJsonLines() refuses a line that is not JSON", async () => {
  await assert.rejects(collect("<html>\n", 4), (error) => isAppError(error, "api_error"));
});
