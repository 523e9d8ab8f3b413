import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import {
  formatBootstrapToken,
  generateBootstrapToken,
  parseBootstrapToken,
  parseTokenNetwork,
  parseTokenUses,
} from "./bootstrap_token.ts";

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

test("generateBootstrapToken() skips the bytes that would make some characters more likely", () => {
  let next = 250;
  const random = { float: () => 0, bytes: (length: number) => Uint8Array.from({ length }, () => next++) };
  // 250 and 251 are "y" and "z"; 252 to 255 are skipped, and 256 is the byte 0.
  assert.equal(formatBootstrapToken(generateBootstrapToken(random)), "yz0123.6789abcdefghijkl");
});

test("parseBootstrapToken() hides the secret from printing", () => {
  const parsed = parseBootstrapToken("abcdef.0123456789abcdef");
  assert.ok(!`${inspect(parsed)}${JSON.stringify(parsed)}`.includes("0123456789abcdef"));
});

for (
  const { text, want } of [
    { text: "1", want: 1 },
    { text: "1000", want: 1_000 },
    { text: "01", want: undefined },
    { text: "-1", want: undefined },
    { text: "1.5", want: undefined },
    { text: "", want: undefined },
  ]
) {
  test(`parseTokenUses() answers ${want} for "${text}"`, () => {
    const uses = parseTokenUses(text);
    assert.equal(uses.ok ? uses.value : undefined, want);
  });
}

test("parseTokenNetwork() returns canonical networks, and one address as a network", () => {
  assert.deepEqual(parseTokenNetwork("10.0.0.7"), { ok: true, value: "10.0.0.7/32" });
  assert.deepEqual(parseTokenNetwork("2001:DB8:0::/64"), { ok: true, value: "2001:db8::/64" });
  assert.equal(parseTokenNetwork("10.0.0.7/24").ok, false);
});
