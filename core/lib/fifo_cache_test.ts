import assert from "node:assert/strict";
import { test } from "node:test";
import { FifoCache } from "./fifo_cache.ts";

test("FifoCache keeps the newest entries, and none with a key that is too long", () => {
  const answers = new FifoCache<number>({ maxEntries: 2, maxKeyLength: 3 });
  answers.set("a", 1);
  answers.set("abc", 2);
  assert.deepEqual(["a", "abc"].map((text) => answers.get(text)), [1, 2]);
  answers.set("abcd", 3);
  assert.deepEqual(["a", "abc", "abcd"].map((text) => answers.get(text)), [1, 2, undefined]);
  answers.set("b", 4);
  assert.deepEqual(["a", "abc", "b"].map((text) => answers.get(text)), [undefined, 2, 4]);
});

test("FifoCache keeps no more text in its keys than is allowed", () => {
  const answers = new FifoCache<number>({ maxEntries: 9, maxKeyLength: 4, maxTotalLength: 6 });
  ["aa", "bb", "cc", "dddd"].forEach((key, index) => answers.set(key, index));
  assert.deepEqual(["aa", "bb", "cc", "dddd"].map((key) => answers.get(key)), [undefined, undefined, 2, 3]);
});
