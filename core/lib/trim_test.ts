import assert from "node:assert/strict";
import { test } from "node:test";
import { trimChars, trimEndChars, trimStartChars } from "./trim.ts";

for (
  const [text, start, end, both] of [
    ["--a-b--", "a-b--", "--a-b", "a-b"],
    ["-", "", "", ""],
    ["", "", "", ""],
    ["a", "a", "a", "a"],
    [" -a", " -a", " -a", " -a"],
  ] as const
) {
  test(`trimChars(), trimStartChars() and trimEndChars() take the dashes from the ends of "${text}"`, () => {
    assert.deepEqual([trimStartChars(text, "-"), trimEndChars(text, "-"), trimChars(text, "-")], [start, end, both]);
  });
}
