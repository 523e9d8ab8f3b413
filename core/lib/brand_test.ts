import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { equalsInConstantTime } from "./brand.ts";

test("equalsInConstantTime() agrees with ===", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => {
    assert.equal(equalsInConstantTime(a, b), a === b);
    assert.equal(equalsInConstantTime(a, a), true);
  }));
});

for (const other of ["0123456789abcdeF", "0123456789abcde", "0123456789abcdef0", "", "0123456789abcdef\0"]) {
  test(`equalsInConstantTime() distinguishes a secret from ${JSON.stringify(other)}, whatever its length`, () => {
    assert.equal(equalsInConstantTime("0123456789abcdef", other), false);
    assert.equal(equalsInConstantTime(other, "0123456789abcdef"), false);
  });
}
