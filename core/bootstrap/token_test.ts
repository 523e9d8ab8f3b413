import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { formatBootstrapToken, generateBootstrapToken, parseBootstrapToken } from "./token.ts";

for (
  const { text, want } of [
    { text: "foobar.circumnavigation", want: true },
    { text: "abcdef.0123456789abcdef", want: true },
    { text: "000000.0000000000000000", want: true },
    { text: "", want: false },
    { text: "abcdef", want: false },
    { text: "abcdef.", want: false },
    { text: ".0123456789abcdef", want: false },
    { text: "abc.0123456789abcdef", want: false },
    { text: "abcdef.0123456789abcde", want: false },
    { text: "abcdef.0123456789abcdef0", want: false },
    { text: "ABCDEF.0123456789abcdef", want: false },
    { text: "abcdef.0123456789ABCDEF", want: false },
    { text: "abcdef:0123456789abcdef", want: false },
    { text: "abcdef..123456789abcdef", want: false },
    { text: "abcde_.0123456789abcdef", want: false },
    { text: " abcdef.0123456789abcdef", want: false },
    { text: "abcdef.0123456789abcdef\n", want: false },
  ]
) {
  test(`parseBootstrapToken() ${want ? "reads" : "refuses"} ${JSON.stringify(text)}`, () => {
    const parsed = parseBootstrapToken(text);
    assert.equal(parsed.ok, want);
    if (parsed.ok) assert.equal(formatBootstrapToken(parsed.value), text);
    else if (text !== "" && text !== "abcdef") assert.ok(!parsed.error.includes(text), "the error repeats the text");
  });
}

test("generateBootstrapToken() makes valid tokens, no two alike", () => {
  const random = createSeededRandom(7);
  const texts = Array.from({ length: 100 }, () => formatBootstrapToken(generateBootstrapToken(random)));
  assert.ok(texts.every((text) => parseBootstrapToken(text).ok));
  assert.equal(new Set(texts).size, texts.length);
  assert.deepEqual(
    [...new Set(texts.join("").replaceAll(".", ""))].sort().join(""),
    "0123456789abcdefghijklmnopqrstuvwxyz",
  );
});

test("parseBootstrapToken() hides the secret from printing", () => {
  const parsed = parseBootstrapToken("abcdef.0123456789abcdef");
  assert.ok(!`${inspect(parsed)}${JSON.stringify(parsed)}`.includes("0123456789abcdef"));
});
