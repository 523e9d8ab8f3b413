import assert from "node:assert/strict";
import { test } from "node:test";
import { shellWord } from "./shell_word.ts";

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
  test(`shellWord() writes ${JSON.stringify(text)} as ${word}`, () => assert.equal(shellWord(text), word));
}
