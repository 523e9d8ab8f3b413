import assert from "node:assert/strict";
import { test } from "node:test";
import { confirm } from "./confirm.ts";

for (
  const { answer, want } of [
    { answer: "y", want: true },
    { answer: " YES ", want: true },
    { answer: "", want: false },
    { answer: " ", want: false },
    { answer: "n", want: false },
    { answer: "yep", want: false },
    { answer: undefined, want: false },
  ]
) {
  test(`confirm() takes ${JSON.stringify(answer) ?? "the end of the input"} for ${want ? "yes" : "no"}`, async () => {
    const stdin = { isTerminal: true, readLine: () => Promise.resolve(answer) };
    const stderr = { isTerminal: true, write() {} };
    const io = { stdin, stderr } as unknown as Parameters<typeof confirm>[1];
    assert.equal(await confirm("sure?", { ...io, signal: new AbortController().signal }), want);
  });
}
