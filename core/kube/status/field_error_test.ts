import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkEach,
  duplicate,
  invalid,
  MAX_COLLECTED,
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
  // Printed in full, these would take 80 GB.
  const value = "x".repeat(800_000);
  const errors = Array.from({ length: 100_000 }, (_, index) => invalid(`a[${index}]`, value, "odd"));
  assert.equal(selectReportedErrors(errors).length, 1);
  assert.equal(selectReportedErrors([invalid("a", "x".repeat(2_000_000), "odd"), requiredField("b")]).length, 1);
  assert.equal(selectReportedErrors(errors.map(({ field }) => requiredField(field))).length > 10_000, true);
});

test("checkEach() stops after several hundred faults, and reports the first ones", () => {
  let checked = 0;
  const elements = Array.from({ length: 100_000 }, () => "");
  const errors = checkEach(elements, (_, index) => {
    checked++;
    return index < 10 ? [] : [requiredField(`l[${index}]`), requiredField(`m[${index}]`)];
  });
  assert.deepEqual([checked, errors.length], [10 + MAX_COLLECTED / 2, MAX_COLLECTED]);
  assert.deepEqual(errors.slice(0, 3).map(({ field }) => field), ["l[10]", "m[10]", "l[11]"]);
});

test("a fault formats its text only when it is read", () => {
  let printed = 0;
  const value = { toJSON: () => ++printed };
  const errors = [invalid("a", value, "odd"), notSupported("a", value, ["b"]), duplicate("a", value)];
  assert.equal(printed, 0);
  assert.equal(errors[1]?.message, 'Unsupported value: 1: supported values: "b"');
});
