import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../../tests/support/properties.ts";
import { matchesFields, parseFieldSelector, requiredValue } from "./fields.ts";

for (
  const [text, want] of [
    ["", []],
    ["metadata.name=a", [{ field: "metadata.name", operator: "=", value: "a" }]],
    ["a==b", [{ field: "a", operator: "=", value: "b" }]],
    ["b!=c,a=", [{ field: "a", operator: "=", value: "" }, { field: "b", operator: "!=", value: "c" }]],
    ["a=b\\,c\\=d\\\\", [{ field: "a", operator: "=", value: "b,c=d\\" }]],
    [",,a=b,", [{ field: "a", operator: "=", value: "b" }]],
    ["==", []],
  ] as const
) {
  test(`parseFieldSelector() reads ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseFieldSelector(text), { ok: true, value: want });
  });
}

for (
  const [text, want] of [
    ["abc", "invalid selector: 'abc'; can't understand 'abc'"],
    ["a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"],
    ["a=b\\x", "invalid field selector: invalid escape sequence: \\x"],
    ["a=b\\", "invalid field selector: invalid escape sequence: \\"],
    ["a=b=c", "invalid field selector: unescaped character in value: 61"],
  ] as const
) {
  test(`parseFieldSelector() refuses ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseFieldSelector(text), { ok: false, error: want });
  });
}

test("parseFieldSelector() returns for any text", () => {
  const parts = fc.constantFrom("a", "=", "!=", "==", ",", "\\", "b.c");
  fc.assert(
    fc.property(fc.oneof(fc.array(parts).map((list) => list.join("")), anyText()), (text) => {
      const parsed = parseFieldSelector(text);
      return parsed.ok ? Array.isArray(parsed.value) : parsed.error !== "";
    }),
  );
});

test("matchesFields() requires every requirement to match", () => {
  const parsed = parseFieldSelector("spec.signerName=s,metadata.name!=a");
  assert.ok(parsed.ok);
  const createReader = (signerName: string, name: string) => (field: string) =>
    field === "metadata.name" ? name : signerName;
  assert.equal(matchesFields(parsed.value, createReader("s", "b")), true);
  assert.equal(matchesFields(parsed.value, createReader("s", "a")), false);
  assert.equal(matchesFields(parsed.value, createReader("t", "b")), false);
});

test("requiredValue() finds the one value of a field", () => {
  const parsed = parseFieldSelector("metadata.name=a,spec.signerName!=s");
  assert.ok(parsed.ok);
  assert.equal(requiredValue(parsed.value, "metadata.name"), "a");
  assert.equal(requiredValue(parsed.value, "spec.signerName"), undefined);
});
