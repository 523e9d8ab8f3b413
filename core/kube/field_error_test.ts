import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkEach,
  duplicate,
  fitAnswer,
  invalid,
  notSupported,
  notSupportedName,
  requiredField,
  selectReportedErrors,
} from "./field_error.ts";

test("notSupported() prints text as Go quotes it, notSupportedName() as JSON", () => {
  assert.equal(notSupported("a", "\u0007<", ["b"]).message, 'Unsupported value: "\\a<": supported values: "b"');
  const named = 'Unsupported value: "\\u0007\\u003c": supported values: "b"';
  assert.equal(notSupportedName("a", "\u0007<", ["b"]).message, named);
});

test("selectReportedErrors() keeps each fault once, in order", () => {
  const errors = [requiredField("b"), invalid("a", 1, "odd"), requiredField("b"), invalid("a", 2, "odd")];
  assert.deepEqual(selectReportedErrors(errors).map(({ field, message }) => `${field}: ${message}`), [
    "b: Required value",
    "a: Invalid value: 1: odd",
    "a: Invalid value: 2: odd",
  ]);
});

test("selectReportedErrors() prints no more than fits into an answer, but the first fault in full", () => {
  // Printed all, these would be 80 GB.
  const value = "x".repeat(800_000);
  const errors = Array.from({ length: 100_000 }, (_, index) => invalid(`a[${index}]`, value, "odd"));
  assert.equal(selectReportedErrors(errors).length, 1);
  assert.equal(selectReportedErrors([invalid("a", "x".repeat(2_000_000), "odd"), requiredField("b")]).length, 1);
  assert.equal(selectReportedErrors(errors.map(({ field }) => requiredField(field))).length > 10_000, true);
});

test("checkEach() stops once the faults fill an answer, and the answer is the same as without stopping", () => {
  let checked = 0;
  const elements = Array.from({ length: 1_500_000 }, () => "");
  const check = (_: string, index: number) => {
    checked++;
    return [requiredField(`l[${index}]`)];
  };
  const errors = checkEach(elements, check);
  assert.ok(checked < 100_000, `${checked} elements`);
  const all = elements.slice(0, 200_000).map((_, index) => requiredField(`l[${index}]`));
  assert.deepEqual(fitAnswer(errors), fitAnswer(all));
});

test("a fault formats its text only when it is read", () => {
  let printed = 0;
  const value = { toJSON: () => ++printed };
  const errors = [invalid("a", value, "odd"), notSupported("a", value, ["b"]), duplicate("a", value)];
  assert.equal(printed, 0);
  assert.equal(errors[1]?.message, 'Unsupported value: 1: supported values: "b"');
});
