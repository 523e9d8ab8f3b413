import assert from "node:assert/strict";
import { test } from "node:test";
import { createCapturedIo } from "../../tests/support/captured_io.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
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
    {
      name: "in the background, where the line belongs to the prompt",
      options: { isTerminal: true, isForeground: false },
    },
  ]
) {
  test(`startProgress() is silent ${name}`, () => {
    const io = createCapturedIo(options);
    const progress = startProgress(io, "waiting");
    progress.update("waiting for something else");
    progress[Symbol.dispose]();
    assert.equal(io.stderrText(), "");
  });
}

for (
  const { seconds, want } of [
    { seconds: 0.9, want: "next" },
    { seconds: 1, want: "next (1s)" },
    { seconds: 59.9, want: "next (59s)" },
    { seconds: 125, want: "next (2m05s)" },
  ]
) {
  test(`startProgress() draws a new text at once, with the time after ${seconds} s`, async () => {
    const clock = createFakeClock();
    const io = createCapturedIo({ isTerminal: true, columns: 40, clock });
    using progress = startProgress(io, "first");
    await clock.advance(seconds * 1000);
    progress.update("next");
    // The number of frames before depends on the machine.
    assert.equal(io.stderrText().split("\r\x1b[2K").at(-1)?.replace(/^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] /u, ""), want);
  });
}

test("drawBar() fills in proportion", () => {
  assert.equal(drawBar(5, 10, 10), "[#####-----] 5/10");
  assert.equal(drawBar(0, 0, 4), "[####] 0/0");
});
