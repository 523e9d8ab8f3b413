import assert from "node:assert/strict";
import { test } from "node:test";
import { debounce, type Debounced } from "./serving.ts";

const RULES = { quietMs: 30_000, isEqual: (a: string, b: string) => a === b };

for (
  const { name, seen, want } of [
    {
      name: "a change that lasts counts after the quiet time",
      seen: [[0, "b"], [10, "b"], [29, "b"], [30, "b"]],
      want: "aaab",
    },
    {
      name: "a change that goes back does not",
      seen: [[0, "b"], [10, "a"], [20, "b"], [40, "b"], [50, "b"]],
      want: "aaaab",
    },
    { name: "a change of the change begins anew", seen: [[0, "b"], [20, "c"], [40, "c"], [50, "c"]], want: "aaac" },
    { name: "nothing happens without a change", seen: [[0, "a"], [99, "a"]], want: "aa" },
  ] as const
) {
  test(`observe(): ${name}`, () => {
    let state: Debounced<string> = { settled: "a" };
    const settled = seen.map(([seconds, value]) => {
      state = debounce(state, value, seconds * 1_000, RULES);
      return state.settled;
    });
    assert.equal(settled.join(""), want);
  });
}
