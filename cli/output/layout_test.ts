import assert from "node:assert/strict";
import { test } from "node:test";
import { alignTabs, DESCRIBE_TABS, formatDescription, wrapWords } from "./layout.ts";

for (
  const { name, text, want } of [
    { name: "one column", text: "a\tb\nlonger\tc", want: "a       b\nlonger  c" },
    {
      name: "columns that end with their block, as kubectl describe does",
      text: "Name:\tn1\nSubject:\n\tCommon Name:\tx\n\tSerial Number:\t\nEvents:\t<none>",
      want: "Name:  n1\nSubject:\n         Common Name:    x\n         Serial Number:  \nEvents:  <none>",
    },
    { name: "no text without tabs", text: "plain\n\nlines", want: "plain\n\nlines" },
    { name: "characters, not bytes", text: "ä\tx\nbb\ty", want: "ä   x\nbb  y" },
  ]
) {
  test(`alignTabs() aligns ${name}`, () => assert.equal(alignTabs(text, DESCRIBE_TABS), want));
}

test("formatDescription() omits titles without a value, and no value starts another line or column", () => {
  const lines = [["Name", "n1"], ["Token", undefined], ["Usages", ""], "", "Rules:", [
    "  Message",
    "a\tb\nName:  n2",
  ]] as const;
  assert.equal(formatDescription(lines), "Name:  n1\n\nRules:\n  Message:  a^Ib^JName:  n2");
});

for (
  const { name, text, width, indent = "", want } of [
    { name: "a text that fits", text: "one two", width: 7, want: ["one two"] },
    { name: "a text that is one character too long", text: "one two", width: 6, want: ["one", "two"] },
    { name: "a text with an indentation", text: "one two", width: 8, indent: "  ", want: ["  one", "  two"] },
    {
      name: "a word that is longer than a line",
      text: "a /path/to/a/file b",
      width: 5,
      want: ["a", "/path/to/a/file", "b"],
    },
    { name: "an empty text", text: "", width: 5, indent: " ", want: [" "] },
  ]
) {
  test(`wrapWords() wraps ${name}`, () => assert.deepEqual(wrapWords(text, width, indent), want));
}

test("wrapWords() gives the first line its own indent, and does not break a word with a space", () => {
  assert.deepEqual(wrapWords(["one", "two three", "four"], 14, "    ", "- "), ["- one", "    two three", "    four"]);
});
