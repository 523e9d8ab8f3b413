import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import { preformatted, roffText } from "./roff.ts";

for (
  const { text, want } of [
    { text: "plain words", want: "plain words" },
    { text: ".SH is no heading", want: "\\&.SH is no heading" },
    { text: "'br is no break", want: "\\(aqbr is no break" },
    { text: "a\\fBb", want: "a\\efBb" },
    { text: "--data-dir", want: "\\-\\-data\\-dir" },
    { text: "…→", want: "\\[u2026]\\[u2192]" },
    { text: 'say "no"', want: "say \\(dqno\\(dq" },
    { text: "a\nb\tc", want: "a b c" },
  ]
) test(`roffText() keeps ${JSON.stringify(text)} as words`, () => assert.equal(roffText(text), want));

test("roffText() returns one line without macros, whatever the text", () => {
  fc.assert(fc.property(anyText(), (text) => {
    const roff = roffText(text);
    assert.match(roff, /^(?![.'])[\x20-\x7e]*$/);
    assert.doesNotMatch(roff.replace(/\\(?:e|-|&|\((?:aq|dq|ga|ha|ti)|\[u[0-9A-F]{4,6}\])/g, ""), /\\/);
  }));
});

test("preformatted() closes what it opens", () => {
  assert.deepEqual(preformatted("a\n.b"), [".PP", ".RS 4", ".nf", "\\fBa\\fR", "\\fB\\&.b\\fR", ".fi", ".RE"]);
});
