import assert from "node:assert/strict";
import { test } from "node:test";
import { invalid, required, toldErrors } from "./field_error.ts";

test("toldErrors() tells every fault once, in order", () => {
  const errors = [required("b"), invalid("a", 1, "odd"), required("b"), invalid("a", 2, "odd")];
  assert.deepEqual(toldErrors(errors).map(({ field, message }) => `${field}: ${message}`), [
    "b: Required value",
    "a: Invalid value: 1: odd",
    "a: Invalid value: 2: odd",
  ]);
});

test("toldErrors() prints no more than fits into an answer, but the first fault in full", () => {
  // Printed all, these would be 80 GB.
  const value = "x".repeat(800_000);
  const errors = Array.from({ length: 100_000 }, (_, index) => invalid(`a[${index}]`, value, "odd"));
  assert.equal(toldErrors(errors).length, 1);
  assert.equal(toldErrors([invalid("a", "x".repeat(2_000_000), "odd"), required("b")]).length, 1);
  assert.equal(toldErrors(errors.map(({ field }) => required(field))).length > 10_000, true);
});
