import assert from "node:assert/strict";
import { test } from "node:test";
import { confirm, readHidden, type TerminalInput } from "./terminal.ts";
import { EventEmitter } from "node:events";

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

class FakeTerminal extends EventEmitter {
  readonly modes: boolean[] = [];
  setEncoding(): void {}
  setRawMode(isRaw: boolean): void {
    this.modes.push(isRaw);
  }
  resume(): void {}
  pause(): void {}
}

async function typed(...chunks: readonly string[]): Promise<string | undefined> {
  const terminal = new FakeTerminal();
  const line = readHidden(terminal as TerminalInput, new AbortController().signal);
  for (const chunk of chunks) terminal.emit("data", chunk);
  try {
    return await line;
  } finally {
    assert.deepEqual(terminal.modes, [true, false]);
    assert.equal(terminal.listenerCount("data"), 0);
  }
}

test("readHidden() reads up to Enter, and edits as a terminal does", async () => {
  assert.equal(await typed("a", "b", "\r"), "ab");
  assert.equal(await typed("abc\nrest"), "abc");
  assert.equal(await typed("ax\u007fb\r"), "ab");
  assert.equal(await typed("wrong\u0015right\r"), "right");
  assert.equal(await typed("\u007f\r"), "");
  assert.equal(await typed("é€\b\r"), "é");
  assert.equal(await typed("a\u0004b\r"), "ab");
});

test("readHidden() returns undefined at Ctrl-D, rejects at Ctrl-C, and restores the terminal", async () => {
  assert.equal(await typed("\u0004"), undefined);
  await assert.rejects(typed("abc\u0003"), { code: "aborted" });
});

test("readHidden() ends with the signal", async () => {
  const terminal = new FakeTerminal();
  const abort = new AbortController();
  const line = readHidden(terminal as TerminalInput, abort.signal);
  abort.abort(new Error("over"));
  await assert.rejects(line, /over/);
  assert.deepEqual(terminal.modes, [true, false]);
});
