import assert from "node:assert/strict";
import { test } from "node:test";
import { shrinkList } from "../../support/shrink.ts";

for (
  const { needed, of } of [
    { needed: [], of: 5 },
    { needed: [3], of: 4 },
    { needed: [0, 7], of: 8 },
    { needed: [1, 2, 3], of: 13 },
  ]
) {
  test(`shrinkList() keeps ${JSON.stringify(needed)} of ${of} elements`, async () => {
    const list = Array.from({ length: of }, (_, index) => index);
    const left = await shrinkList(list, (some) => Promise.resolve(needed.every((one) => some.includes(one))));
    assert.deepEqual(left, needed);
  });
}
