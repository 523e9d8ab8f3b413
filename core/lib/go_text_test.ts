import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import { byteLength, compareBytes, isPrintable, marshalJson, parseInt64, printStringSlice } from "./go_text.ts";
import { printValue } from "../kube/status/field_error.ts";
import { Buffer } from "node:buffer";

test("byteLength() is the length in UTF-8", () => {
  fc.assert(
    fc.property(anyText(), (text) => byteLength(text) === new TextEncoder().encode(text).length),
  );
});

for (
  const [character, want] of [["a", true], [" ", true], ["é", true], ["\u0000", false], ["\u00a0", false]] as const
) {
  test(`isPrintable() is ${want} for U+${character.charCodeAt(0).toString(16)}`, () => {
    assert.equal(isPrintable(character), want);
  });
}

for (
  const [value, want] of [
    ['a\u0000"\n', '"a\\x00\\"\\n"'],
    [null, "null"],
    [undefined, "null"],
    [true, "true"],
    [5, "5"],
    [["<x>"], '["\\u003cx\\u003e"]'],
    [{ a: "&" }, '{"a":"\\u0026"}'],
  ] as const
) {
  test(`printValue() prints ${String(value)} as ${want}`, () => assert.equal(printValue(value), want));
}

test("marshalJson() escapes as Go does", () => {
  assert.equal(marshalJson("<\u2028>"), '"\\u003c\\u2028\\u003e"');
});

test("printStringSlice() prints a Go slice", () => {
  assert.equal(printStringSlice(["a", "b"]), '[]string{"a", "b"}');
});

for (
  const [text, want] of [
    ["0", 0n],
    ["-0", 0n],
    ["+7", 7n],
    [`-${"0".repeat(60)}7`, -7n],
    ["9223372036854775807", 9223372036854775807n],
    ["9223372036854775808", undefined],
    ["-9223372036854775808", -9223372036854775808n],
    ["-9223372036854775809", undefined],
    ["1".repeat(21), undefined],
    ["", undefined],
    ["+", undefined],
    ["+-1", undefined],
    ["1_0", undefined],
    [" 1", undefined],
  ] as const
) {
  test(`parseInt64() returns ${want} for "${text}"`, () => assert.equal(parseInt64(text), want));
}

test("compareBytes() orders texts as their UTF-8 bytes, also after a long common prefix", () => {
  const start = fc.constantFrom("", "/registry/secrets/kube-system/", "/registry/\u{e000}\u{10000}/");
  const end = fc.string({
    unit: fc.constantFrom("a", "b", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}"),
    maxLength: 4,
  });
  fc.assert(fc.property(start, end, end, (beginning, left, right) => {
    const [a, b] = [beginning + left, beginning + right];
    assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)), `${a} ${b}`);
  }));
});
