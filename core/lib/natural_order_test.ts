import assert from "node:assert/strict";
import { test } from "node:test";
import { compareNaturally } from "./natural_order.ts";

for (
  const { name, want } of [
    { name: "numbers by their value", want: ["n1", "n2", "n10", "n11"] },
    { name: "digits before other characters", want: ["a1", "aB", "ab"] },
    { name: "fewer leading zeros first", want: ["n1", "n01", "n001", "n2"] },
    { name: "a beginning before the whole", want: ["", "n", "n1", "n1-web"] },
    { name: "several numbers", want: ["10.0.2.9", "10.0.10.1", "10.0.10.2"] },
    { name: "numbers beyond the precision of a float", want: ["a9007199254740993", "a9007199254740994"] },
  ]
) {
  test(`compareNaturally() orders ${name}`, () => {
    assert.deepEqual(want.toReversed().sort(compareNaturally), want);
    for (const text of want) assert.equal(compareNaturally(text, text), 0);
  });
}
