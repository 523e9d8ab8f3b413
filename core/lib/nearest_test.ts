import assert from "node:assert/strict";
import { test } from "node:test";
import { findNearest } from "./nearest.ts";

const words = [
  ...["approve", "approver", "deny", "delete", "describe", "version", "restore", "docs", "up"],
  "cluster-signing-duration",
];

for (
  const { word, want } of [
    { word: "aprove", want: "approve" },
    { word: "verison", want: "version" },
    { word: "dney", want: "deny" },
    { word: "DELETE", want: "delete" },
    { word: "frobnicate", want: undefined },
    { word: "desc", want: "describe" },
    { word: "clustre-singing-durtion", want: "cluster-signing-duration" },
    { word: "approvers", want: "approver" },
    { word: "revoke", want: undefined },
    { word: "remove", want: undefined },
    { word: "restart", want: undefined },
    { word: "doctor", want: undefined },
    { word: "logs", want: undefined },
    { word: "ip", want: undefined },
    { word: "de", want: undefined },
    { word: "x", want: undefined },
    { word: "", want: undefined },
  ]
) {
  test(`findNearest() finds ${want ?? "nothing"} for "${word}"`, () => assert.equal(findNearest(word, words), want));
}
