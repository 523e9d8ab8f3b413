import assert from "node:assert/strict";
import { test } from "node:test";
import { findNearest } from "./nearest.ts";

const words = ["approve", "approver", "deny", "delete", "describe", "version"];

for (
  const { word, want } of [
    { word: "aprove", want: "approve" },
    { word: "verison", want: "version" },
    { word: "dney", want: "deny" },
    { word: "DELETE", want: "delete" },
    { word: "frobnicate", want: undefined },
    { word: "x", want: undefined },
    { word: "", want: undefined },
  ]
) {
  test(`findNearest() finds ${want ?? "nothing"} for "${word}"`, () => assert.equal(findNearest(word, words), want));
}
