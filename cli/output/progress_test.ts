import assert from "node:assert/strict";
import { test } from "node:test";
import { type CapturedIo, createCapturedIo } from "../../tests/support/captured_io.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createSteps, drawBar, formatLocalTime, formatMegabytes, startProgress } from "./progress.ts";

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
    { seconds: 3725, want: "next (1h02m)" },
  ]
) {
  test(`startProgress() draws a new text at once, with the time after ${seconds} s`, async () => {
    const clock = createFakeClock();
    const io = createCapturedIo({ isTerminal: true, columns: 40, clock });
    using progress = startProgress(io, "first");
    await clock.advance(seconds * 1000);
    progress.update("next");
    assert.equal(findLastDrawn(io), want);
  });
}

test("startProgress() shows the end of the wait, and on a narrow terminal shortens the text rather than the time", async () => {
  const clock = createFakeClock();
  const io = createCapturedIo({ isTerminal: true, columns: 50, clock });
  const until = new Date(clock.now().getTime() + 300_000);
  using progress = startProgress(io, "waiting for approval", until);
  await clock.advance(55_000);
  progress.update("waiting for approval of a machine with a long name");
  const time = formatLocalTime(until, clock.now());
  assert.match(time, /^\d\d:\d\d$/);
  assert.equal(findLastDrawn(io), `waiting for approval of a m…, until ${time} (55s)`);
});

/** Returns the line that was drawn last, without its spinner: the number of frames before depends on the machine. */
function findLastDrawn(io: CapturedIo): string | undefined {
  return io.stderrText().split("\r\x1b[2K").at(-1)?.replace(/^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] /u, "");
}

for (
  const { name, seconds, want } of [
    { name: "the hour and the minute", seconds: 3600, want: "13:00" },
    { name: "the seconds of a short wait", seconds: 30, want: "12:00:30" },
    { name: "the date of another day", seconds: 86_400, want: "2026-03-02 12:00" },
  ]
) {
  test(`formatLocalTime() writes ${name}`, () => {
    const now = new Date(2026, 2, 1, 12, 0, 0);
    assert.equal(formatLocalTime(new Date(now.getTime() + seconds * 1000), now), want);
  });
}

test("createSteps() shows what is awaited, and no spinner after its end", () => {
  const io = createCapturedIo({ isTerminal: true, columns: 80 });
  const steps = createSteps(io);
  steps.step("request made", { what: "approval" });
  assert.equal(findLastDrawn(io), "waiting for approval");
  steps[Symbol.dispose]();
  steps.step("renewed");
  assert.match(io.stderrText(), /renewed\n$/);
});

test("drawBar() fills in proportion", () => {
  assert.equal(drawBar({ done: 5, total: 10 }), "[##########----------] 5/10");
  assert.equal(drawBar({ done: 0, total: 0 }), "[####################] 0/0");
  const downloaded = drawBar({ done: 750_000, total: 3_000_000, format: formatMegabytes });
  assert.equal(downloaded, "[#####---------------] 0.8 MB/3.0 MB");
});
