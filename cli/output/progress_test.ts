import assert from "node:assert/strict";
import { test } from "node:test";
import { createCapturedIo } from "../../tests/support/captured_io.ts";
import { drawBar, startProgress } from "./progress.ts";

test("startProgress() draws on a terminal and erases its line at the end", () => {
  const io = createCapturedIo({ isTerminal: true, columns: 20 });
  startProgress(io, "waiting")[Symbol.dispose]();
  assert.equal(io.stderrText(), "\r\x1b[2K⠋ waiting\r\x1b[2K");
  assert.equal(io.stdoutText(), "");
});

for (
  const { name, options } of [
    { name: "without a terminal", options: {} },
    { name: "on a dumb terminal", options: { isTerminal: true, env: { TERM: "dumb" } } },
  ]
) {
  test(`startProgress() is silent ${name}`, () => {
    const io = createCapturedIo(options);
    startProgress(io, "waiting")[Symbol.dispose]();
    assert.equal(io.stderrText(), "");
  });
}

test("drawBar() fills in proportion", () => {
  assert.equal(drawBar(5, 10, 10), "[#####-----] 5/10");
  assert.equal(drawBar(0, 0, 4), "[####] 0/0");
});
