import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { DecodeError } from "../json_value.ts";
import { canonicalQuantity, toMillis } from "./scalars.ts";

/** Text and what apimachinery v0.37.2 prints for it. */
const FORMS: readonly (readonly [string, string])[] = [
  ["1024Ki", "1Mi"],
  ["0.5", "500m"],
  ["1000m", "1"],
  ["1k", "1k"],
  ["1e3", "1e3"],
  ["1E3", "1E3"],
  ["1e+3", "1e+3"],
  ["12e-1", "1200e-3"],
  ["1.5Gi", "1536Mi"],
  ["0.1Ki", "102400m"],
  ["1.1Ki", "1126400m"],
  ["-1Ki", "-1Ki"],
  ["+5", "+5"],
  ["1.", "1."],
  ["1000000", "1M"],
  ["0.1m", "100u"],
  ["0.00000000001", "1n"],
  ["9223372036854775807", "9223372036854775807"],
  ["99999999999999999999", "99999999999999999999"],
  ["1Ei", "1Ei"],
  ["100Ei", "9223372036854775807"],
  [" 1 ", "1"],
  ["-0", "0"],
  ["1.0Mi", "1Mi"],
  ["M", "0"],
  ["Gi", "0"],
  ["+", "0"],
  ["E3", "0"],
  [".", "0"],
  ["+1Gi", "+1Gi"],
  ["+8Gi", "8Gi"],
  ["1E31", "10e30"],
  ["1024", "1024"],
  ["2048Mi", "2Gi"],
];

for (const [text, want] of FORMS) {
  test(`canonicalQuantity() prints ${JSON.stringify(text)} as ${want}`, () =>
    assert.equal(canonicalQuantity(text), want));
}

for (const text of ["", "abc", "1Zi", "..5", "1,5", "1KI", "1".repeat(1_000_000)]) {
  test(`canonicalQuantity() refuses ${JSON.stringify(text.slice(0, 10))}`, () => {
    assert.throws(() => canonicalQuantity(text), {
      message: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    });
  });
}

for (const text of ["Pi", "+Ei", "e-10"]) {
  test(`canonicalQuantity() finds no number in ${text}`, () => {
    assert.throws(() => canonicalQuantity(text), { message: "unable to parse numeric part of quantity" });
  });
}

for (const text of ["1e", "1ki", "1mm"]) {
  test(`canonicalQuantity() reports the suffix of ${text}`, () => {
    assert.throws(() => canonicalQuantity(text), { message: "unable to parse quantity's suffix" });
  });
}

test("canonicalQuantity() throws only DecodeError, and its result is stable", () => {
  const parts = fc.array(fc.constantFrom(..."0123456789.+-eEinumkKMGTP"), { maxLength: 12 }).map((chars) =>
    chars.join("")
  );
  fc.assert(fc.property(parts, (text) => {
    try {
      const once = canonicalQuantity(text);
      assert.equal(canonicalQuantity(once), once);
    } catch (error) {
      assert.ok(error instanceof DecodeError);
    }
  }));
});

test("toMillis() counts thousandths, rounded away from zero", () => {
  for (
    const [text, millis] of [["1", 1_000n], ["1.5", 1_500n], ["1n", 1n], ["-1u", -1n], ["1Ki", 1_024_000n], [
      "0",
      0n,
    ]] as const
  ) assert.equal(toMillis(text), millis, text);
  assert.throws(() => toMillis("one"), DecodeError);
});
