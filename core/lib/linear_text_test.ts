import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { matchesDeepPattern, matchesPattern, trimChars, trimEndChars } from "./linear_text.ts";

for (
  const [value, pattern, want] of [
    ["a.b", "*.b", true],
    ["a.c.b", "*.b", true],
    [".b", "*.b", false],
    ["a-b-c", "a-*-c", true],
    ["a-c", "a-*-c", false],
    ["a.a.b", "*.*.b", true],
    // The first match of a part is not always the right one.
    ["a.xb.b", "*.*b.b", true],
    ["*.b", "*.b", true],
    ["*.c.b", "*.*.b", false],
    ["", "", true],
    ["", "*", false],
    ["aaaa", "a*a", true],
    ["aa", "a*a", false],
  ] as const
) {
  test(`matchesPattern() ${want ? "accepts" : "refuses"} "${value}" for "${pattern}"`, () => {
    assert.equal(matchesPattern(value, pattern), want);
  });
}

for (
  const [value, pattern, separators, want] of [
    ["a.b.c", "**.c", ".", true],
    ["a.b.c", "*.c", ".", false],
    ["x:a/b", "x:*", "/:", false],
    ["x:a/b", "x:**", "/:", true],
    ["*.c", "*.c", ".", false],
    ["*.c", "**.c", ".", false],
    ["a\nb", "a*", "", false],
    ["ab", "a***", "", false],
    ["abc", "a***", "", true],
    ["😀x", "*x", "", true],
  ] as const
) {
  test(`matchesDeepPattern() ${want ? "accepts" : "refuses"} ${JSON.stringify(value)} for "${pattern}"`, () => {
    assert.equal(matchesDeepPattern(value, pattern, separators), want);
  });
}

test("matchesPattern() agrees with regular expressions", () => {
  const texts = fc.string({ unit: fc.constantFrom("a", "b", ".", "*"), maxLength: 8 });
  fc.assert(fc.property(texts, texts, (value, pattern) => {
    const source = [...pattern].map((char) => char === "*" ? "[^*]+" : char === "." ? "\\." : char).join("");
    const want = value === pattern || new RegExp(`^${source}$`).test(value);
    assert.equal(matchesPattern(value, pattern), want);
  }));
});

for (
  const [text, end, both] of [
    ["--a-b--", "--a-b", "a-b"],
    ["-", "", ""],
    ["", "", ""],
    ["a", "a", "a"],
    [" -a", " -a", " -a"],
  ] as const
) {
  test(`trimEndChars() and trimChars() remove dashes from "${text}"`, () => {
    assert.deepEqual([trimEndChars(text, "-"), trimChars(text, "-")], [end, both]);
  });
}
