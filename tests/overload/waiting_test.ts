import assert from "node:assert/strict";
import { test } from "node:test";
import { repeat } from "./waiting.ts";

test("repeat() retries failures until enough runs have succeeded", async () => {
  let [tried, done] = [0, 0];
  await repeat(10, 3, new AbortController().signal, () => {
    if (++tried % 2 === 0) return Promise.reject(new Error("refused"));
    done++;
    return Promise.resolve();
  });
  assert.equal(done, 10);
});

test("repeat() gives up when the signal fires", async () => {
  const over = new AbortController();
  let tried = 0;
  await repeat(10, 1, over.signal, () => {
    if (++tried === 5) over.abort();
    return Promise.reject(new Error("refused"));
  });
  assert.equal(tried, 5);
});
