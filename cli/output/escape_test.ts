import assert from "node:assert/strict";
import { test } from "node:test";
import { escapeText, escapeValue, line } from "../../core/lib/printable.ts";
import { guardStreams } from "./escape.ts";

test("escapeText() keeps tabs and line breaks", () => {
  assert.equal(escapeText("a\tb\nc\x07"), "a\tb\nc^G");
});

test("escapeText() escapes bidirectional and invisible characters", () => {
  assert.equal(escapeText("a\u202eb\u2066\x9bc\u200d\x7f"), "a\\u202eb\\u2066\\u009bc\\u200d^?");
});

test("escapeValue() keeps a value from starting a line or a column", () => {
  assert.equal(escapeValue("a\tb\nc\r"), "a^Ib^Jc^M");
});

test("line keeps the columns of its template and adds no others", () => {
  assert.equal(line`  User:\t${"x\ty"}\t${"z\nw"} ${7}`, "  User:\tx^Iy\tz^Jw 7");
});

for (
  const { name, isTerminal, stream, want } of [
    { name: "escapes all but our control sequences on a terminal", isTerminal: true, stream: "stdout", want: true },
    { name: "does not change data in a file", isTerminal: false, stream: "stdout", want: false },
    { name: "escapes control sequences in a file of messages", isTerminal: false, stream: "stderr", want: true },
  ] as const
) {
  test(`guardStreams() ${name}`, () => {
    let written = "";
    const inner = { write: (text: string) => void (written += text), isTerminal, columns: 80 };
    const text = "\x1b[31mred\x1b[0m\r\x1b[2K\x1b[8mhidden\x1b]0;title\x07\u202e\n";
    const guarded = guardStreams({ stdout: inner, stderr: inner })[stream];
    guarded.write(text);
    assert.equal(
      written,
      want ? "\x1b[31mred\x1b[0m\r\x1b[2K^[[8mhidden^[]0;title^G\\u202e\n" : text,
    );
    assert.deepEqual([guarded.isTerminal, guarded.columns], [isTerminal, 80]);
  });
}

for (
  const { name, isForeground, want } of [
    {
      name: "erases a spinner before an answer and a message",
      isForeground: true,
      want: "spin\r\x1b[2Kanswer\nspin\r\x1b[2Kmessage\n",
    },
    { name: "leaves the line to the prompt in the background", isForeground: false, want: "spinanswer\nspinmessage\n" },
  ]
) {
  test(`guardStreams() ${name}`, () => {
    let shown = "";
    const inner = { write: (text: string) => void (shown += text), isTerminal: true, isForeground, columns: 80 };
    const { stdout, stderr } = guardStreams({ stdout: inner, stderr: inner });
    stderr.writeTransient?.("spin");
    stdout.write("answer\n");
    stderr.writeTransient?.("spin");
    stderr.write("message\n");
    stderr.writeTransient?.("");
    assert.equal(shown, want);
  });
}

test("guardStreams() does not touch the terminal for an answer into a file", () => {
  let shown = "";
  const terminal = { write: (text: string) => void (shown += text), isTerminal: true, columns: 80 };
  const { stdout, stderr } = guardStreams({
    stdout: { ...terminal, write: () => {}, isTerminal: false },
    stderr: terminal,
  });
  stderr.writeTransient?.("spin");
  stdout.write("data\n");
  assert.equal(shown, "spin");
});
