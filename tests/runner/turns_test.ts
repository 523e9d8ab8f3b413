import assert from "node:assert/strict";
import { test } from "node:test";
import { LEFT_OUT, splitByTurn } from "./turns.ts";

for (
  const { name, all, share, want } of [
    { name: "all each day, without a share", all: ["a", "b", "c"], share: 1, want: ["a b c", "a b c", "a b c"] },
    { name: "a third each day", all: ["a", "b", "c", "d", "e"], share: 3, want: ["a d", "b e", "c"] },
    { name: "at least one each day", all: ["a", "b"], share: 3, want: ["a", "b", "a"] },
    { name: "the only one each day", all: ["a"], share: 3, want: ["a", "a", "a"] },
    { name: "nothing of nothing", all: [], share: 3, want: ["", "", ""] },
  ]
) {
  test(`splitByTurn() picks ${name}`, () => {
    const days = want.map((_, day) => splitByTurn(all, share, day));
    assert.deepEqual(days.map(([now]) => now.join(" ")), want);
    for (const [now, later] of days) assert.deepEqual([...now, ...later].sort(), all);
  });
}

test("LEFT_OUT finds the lines of a test's output", () => {
  const output = "ok\nleft to another day: a, b\nnot left to another day: c\nleft to another day: d\n";
  assert.deepEqual(output.match(LEFT_OUT), ["left to another day: a, b", "left to another day: d"]);
});
