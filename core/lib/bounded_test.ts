import assert from "node:assert/strict";
import { test } from "node:test";
import { createTokenBuckets, FifoCache } from "./bounded.ts";

test("FifoCache keeps the newest entries, and ignores one whose key is too long", () => {
  const answers = new FifoCache<number>({ maxEntries: 2, maxKeyLength: 3 });
  answers.set("a", 1);
  answers.set("abc", 2);
  assert.deepEqual(["a", "abc"].map((text) => answers.get(text)), [1, 2]);
  answers.set("abcd", 3);
  assert.deepEqual(["a", "abc", "abcd"].map((text) => answers.get(text)), [1, 2, undefined]);
  answers.set("b", 4);
  assert.deepEqual(["a", "abc", "b"].map((text) => answers.get(text)), [undefined, 2, 4]);
});

test("FifoCache limits the total length of its keys", () => {
  const answers = new FifoCache<number>({ maxEntries: 9, maxKeyLength: 4, maxTotalLength: 6 });
  ["aa", "bb", "cc", "dddd"].forEach((key, index) => answers.set(key, index));
  assert.deepEqual(["aa", "bb", "cc", "dddd"].map((key) => answers.get(key)), [undefined, undefined, 2, 3]);
});

test("createTokenBuckets() gives each key a burst, and then a steady rate", () => {
  let at = 0;
  const { take } = createTokenBuckets(() => at, { burst: 3, refillMs: 500 });
  const taken = (user: string, count: number) => Array.from({ length: count }, () => take(user)).filter(Boolean).length;
  assert.equal(taken("flood", 10), 3);
  assert.equal(taken("other", 2), 2);
  at += 1_000;
  assert.equal(taken("flood", 10), 2);
  at += 499;
  assert.equal(taken("flood", 10), 0);
  at += 3_600_000;
  assert.equal(taken("flood", 10), 3);
});

test("createTokenBuckets() removes a bucket only when it is full again", () => {
  let at = 0;
  const { take, sweep } = createTokenBuckets(() => at, { burst: 3, refillMs: 1_000 });
  for (let index = 0; index < 3; index++) take("flood");
  at += 1_000;
  sweep();
  assert.deepEqual([take("flood"), take("flood")], [true, false]);
  at += 3_000;
  sweep();
  assert.deepEqual([1, 2, 3, 4].map(() => take("flood")), [true, true, true, false]);
});

test("createTokenBuckets() reserves tokens in advance", () => {
  let at = 1_000;
  const { reserve } = createTokenBuckets(() => at, { burst: 100, refillMs: 100 });
  const delays = Array.from({ length: 103 }, () => reserve("retries"));
  assert.deepEqual(delays.slice(98), [0, 0, 100, 200, 300]);
  at += 400;
  assert.equal(reserve("retries"), 0);
});
