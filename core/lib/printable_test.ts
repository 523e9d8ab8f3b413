import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import { escapeControls, escapeUnseen, shellWord } from "./printable.ts";

for (
  const { name, text, want } of [
    { name: "plain text", text: "system:node:n1 é 日本", want: "system:node:n1 é 日本" },
    { name: "an escape sequence", text: "\x1b[2J", want: "\\u001b[2J" },
    { name: "a line break", text: "a\r\nb", want: "a\\u000d\\u000ab" },
    { name: "a C1 control", text: "\x9b31m", want: "\\u009b31m" },
    { name: "a change of direction", text: "a\u202eb\u2066c", want: "a\\u202eb\\u2066c" },
    { name: "invisible characters", text: "a\u200bb\ufeffc\u00add", want: "a\\u200bb\\ufeffc\\u00add" },
    { name: "a tag character beyond U+FFFF", text: "\u{e0041}", want: "\\udb40\\udc41" },
    { name: "a line separator", text: "a\u2028b", want: "a\\u2028b" },
  ]
) test(`escapeControls() of ${name}`, () => assert.equal(escapeControls(text), want));

test("escapeUnseen() keeps the value of a JSON text", () => {
  fc.assert(fc.property(anyText(), (text) => {
    assert.equal(JSON.parse(escapeUnseen(JSON.stringify(text))), text);
  }));
});

for (
  const [text, word] of [
    ["system:node:n1", "system:node:n1"],
    ["csr-x7k2p", "csr-x7k2p"],
    ["$(reboot)", "'$(reboot)'"],
    ["a; b", "'a; b'"],
    ["it's", `'it'\\''s'`],
    ["--all", "'--all'"],
    ["a\u001b[2Jb\nc", "'a[2Jbc'"],
    ["", "''"],
  ] as const
) {
  test(`shellWord() prints ${JSON.stringify(text)} as ${word}`, () => assert.equal(shellWord(text), word));
}
