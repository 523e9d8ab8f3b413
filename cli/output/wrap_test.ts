import assert from "node:assert/strict";
import { test } from "node:test";
import { wrapWords } from "./wrap.ts";

for (
  const { name, text, width, indent = "", want } of [
    { name: "a text that fits", text: "one two", width: 7, want: ["one two"] },
    { name: "a text that is one character too long", text: "one two", width: 6, want: ["one", "two"] },
    { name: "an indentation, which counts", text: "one two", width: 8, indent: "  ", want: ["  one", "  two"] },
    {
      name: "a word that is longer than a line",
      text: "a /path/to/a/file b",
      width: 5,
      want: ["a", "/path/to/a/file", "b"],
    },
    { name: "an empty text", text: "", width: 5, indent: " ", want: [" "] },
  ]
) {
  test(`wrapWords() of ${name}`, () => assert.deepEqual(wrapWords(text, width, indent), want));
}

test("wrapWords() begins the first line in its own way, and keeps a word with a blank in one piece", () => {
  assert.deepEqual(wrapWords(["one", "two three", "four"], 14, "    ", "- "), ["- one", "    two three", "    four"]);
});
