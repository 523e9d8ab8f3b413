import assert from "node:assert/strict";
import { test } from "node:test";
import { readFlags, UsageError } from "./flags.ts";

test("readFlags() takes all attacks twice at full scale by default", () => {
  assert.deepEqual(readFlags([]), {
    ...{ scale: 1, seconds: 10, rounds: 2, seed: 1 },
    ...{ binary: false, json: undefined, writes: false, words: [] },
  });
});

for (
  const args of [
    ["--scale", "0"],
    ["--scale", "2"],
    ["--seconds", "soon"],
    ["--seconds", "1000"],
    ["--rounds", "0"],
    ["--rounds", "1.5"],
    ["--seed", "x"],
    ["--write", "tokens"],
    ["--slowly"],
  ]
) {
  test(`readFlags() refuses ${args.join(" ")}`, () => {
    assert.throws(() => readFlags(args), UsageError);
  });
}
