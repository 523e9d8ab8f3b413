import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../core/errors.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createHolder, keepFresh, type NextStep } from "./keep_fresh.ts";

const START = new Date("2026-01-01T00:00:00Z");
const at = (seconds: number) => new Date(START.getTime() + seconds * 1_000);

/** Runs the loop over a script, and records the seconds at which its steps begin. A step takes as long as its promise. */
function start(script: readonly (NextStep | Error | Promise<NextStep>)[]) {
  const clock = createFakeClock(START);
  const source = createHolder(0);
  const abort = new AbortController();
  const steps: number[] = [];
  const failures: number[] = [];
  const ended = keepFresh({
    clock,
    changed: () => source.changed(),
    async step() {
      steps.push((clock.now().getTime() - START.getTime()) / 1_000);
      const next = script[steps.length - 1] ?? { kind: "idle" };
      if (next instanceof Error) throw next;
      return await Promise.resolve(next);
    },
    onFailure(error, count) {
      failures.push(count);
      if (error.code === "credentials_missing") throw error;
      return { kind: "pause", ms: 10_000 * count };
    },
  }, abort.signal).catch((error: unknown) => error);
  return { clock, source, abort, steps, failures, ended };
}

test("keepFresh() repeats a step at the returned time, and at once after a change", async () => {
  const f = start([{ kind: "sleep", until: at(60) }, { kind: "pause", ms: 30_000 }, { kind: "pause", ms: 0 }]);
  await f.clock.advance(59_999);
  assert.deepEqual(f.steps, [0]);
  await f.clock.advance(1);
  await f.clock.advance(30_000);
  assert.deepEqual(f.steps, [0, 60, 90, 90], "a pause of nothing begins the next step at once");
  f.source.set(1);
  await f.clock.advance(1_000);
  assert.equal(f.steps.length, 5, "a change ends an unlimited wait");
  f.abort.abort(new Error("stopped"));
  assert.match(String(await f.ended), /stopped/);
});

test("keepFresh() begins the next step at once after a change during a step", async () => {
  const first = Promise.withResolvers<NextStep>();
  const f = start([first.promise]);
  f.source.set(1);
  first.resolve({ kind: "idle" });
  await f.clock.advance(0);
  assert.deepEqual(f.steps, [0, 0]);
  f.abort.abort();
  await f.ended;
});

for (
  const [when, next] of [
    ["a step that succeeds", { kind: "pause", ms: 0 }],
    ["a step that fails", new AppError("io", "no space left on device")],
    ["a pause", { kind: "pause", ms: 60_000 }],
    ["a sleep", { kind: "sleep", until: at(60) }],
  ] as const
) {
  test(`keepFresh() ends with the reason of a signal that fires during ${when}`, async () => {
    const first = Promise.withResolvers<NextStep>();
    const f = start([first.promise]);
    const isWaiting = !(next instanceof Error) && (next.kind === "sleep" || next.ms > 0);
    if (!isWaiting) f.abort.abort(new Error("stopped"));
    if (next instanceof Error) first.reject(next);
    else first.resolve(next);
    if (isWaiting) {
      await f.clock.advance(1_000);
      f.abort.abort(new Error("stopped"));
    }
    assert.match(String(await f.ended), /stopped/);
    assert.deepEqual([f.steps, f.failures], [[0], []]);
  });
}

test("keepFresh() tries again after the pause of onFailure(), and counts the failures since the last success", async () => {
  const fault = new AppError("io", "no space left on device");
  const f = start([fault, fault, { kind: "pause", ms: 1_000 }, fault]);
  await f.clock.advance(10_000);
  await f.clock.advance(20_000);
  await f.clock.advance(1_000);
  assert.deepEqual([f.steps, f.failures], [[0, 10, 30, 31], [1, 2, 1]]);
  f.abort.abort();
  await f.ended;
});

for (const fault of [new TypeError("a bug"), new AppError("credentials_missing", "no token")]) {
  test(`keepFresh() ends because of ${fault.name}: ${fault.message}`, async () => {
    assert.equal(await start([fault]).ended, fault);
  });
}
