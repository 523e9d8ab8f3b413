import assert from "node:assert/strict";
import { test } from "node:test";
import { CLOCK_JUMPS, createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { type Part, Parts, renewEachMinute, runInBackground } from "./parts.ts";

/** Creates parts that record their calls. */
function createRecorded(events: string[], fault?: string) {
  return (name: string): Part => ({
    renew() {
      events.push(`renew ${name}`);
      return fault === name ? Promise.reject(new Error(`${name} failed`)) : Promise.resolve();
    },
    [Symbol.asyncDispose]() {
      events.push(`dispose ${name}`);
      return Promise.resolve();
    },
  });
}

test("Parts renews parts in the order of their start and disposes them in reverse", async () => {
  const events: string[] = [];
  const create = createRecorded(events);
  {
    await using parts = new Parts();
    const first = create("first");
    assert.equal(parts.add(first), first);
    parts.add({});
    parts.add({ [Symbol.dispose]: () => void events.push("dispose plain") });
    parts.add(create("last"));
    await parts.renew();
  }
  assert.deepEqual(events, ["renew first", "renew last", "dispose last", "dispose plain", "dispose first"]);
});

test("Parts disposes what has started when a later start fails", async () => {
  const events: string[] = [];
  const start = async (): Promise<Parts> => {
    await using starting = new Parts();
    starting.add(createRecorded(events)("first"));
    await Promise.reject(new Error("the second cannot start"));
    return starting.move();
  };
  await assert.rejects(start(), /the second cannot start/);
  assert.deepEqual(events, ["dispose first"]);
});

test("after Parts.move() there is nothing to renew or to dispose", async () => {
  const events: string[] = [];
  const starting = new Parts();
  starting.add(createRecorded(events)("first"));
  const parts = starting.move();
  await starting[Symbol.asyncDispose]();
  assert.deepEqual(events, []);
  await parts.renew();
  await parts[Symbol.asyncDispose]();
  assert.deepEqual(events, ["renew first", "dispose first"]);
});

test("Parts.renew() renews the other parts after a failure, and throws each failure", async () => {
  const events: string[] = [];
  await using parts = new Parts();
  for (const name of ["first", "second"]) parts.add(createRecorded(events, "first")(name));
  await assert.rejects(parts.renew(), { name: "Error", message: "first failed" });
  assert.deepEqual(events, ["renew first", "renew second"]);
  parts.add(createRecorded(events, "third")("third"));
  await assert.rejects(parts.renew(), /^AggregateError: first failed; third failed$/);
});

/** Waits for an abort, and then returns or fails. */
async function workUntilAborted(signal: AbortSignal, fault?: Error): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  if (fault !== undefined) throw fault;
}

function fail(error: unknown): never {
  throw error;
}

test("runInBackground() ends its work and waits for the end when it is disposed", async () => {
  let isEnded = false;
  const work = async (signal: AbortSignal) => {
    await workUntilAborted(signal);
    isEnded = true;
  };
  await runInBackground(work, { until: new AbortController().signal, onFailure: fail })[Symbol.asyncDispose]?.();
  assert.equal(isEnded, true);
});

test("runInBackground() passes a failure on once, and disposing it does not repeat the failure", async () => {
  const fault = new Error("no more");
  const failures: unknown[] = [];
  const until = new AbortController().signal;
  const part = runInBackground(() => Promise.reject(fault), { until, onFailure: (error) => failures.push(error) });
  await Promise.resolve();
  await part[Symbol.asyncDispose]?.();
  assert.deepEqual(failures, [fault]);
});

test("runInBackground() rejects on disposal when its work fails at the end", async () => {
  const part = runInBackground((signal) => workUntilAborted(signal, new Error("cannot end")), {
    until: new AbortController().signal,
    onFailure: fail,
  });
  await assert.rejects(async () => await part[Symbol.asyncDispose]?.(), /cannot end/);
});

test("runInBackground() ends its work when the outer signal aborts", async () => {
  const outer = new AbortController();
  const part = runInBackground(workUntilAborted, { until: outer.signal, onFailure: fail });
  outer.abort();
  await part[Symbol.asyncDispose]?.();
});

interface Running extends AsyncDisposable {
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly logger: ReturnType<typeof createMemoryLogger>;
  checks(): number;
}

function start(renew: () => void = () => {}): Running {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const abort = new AbortController();
  let checks = 0;
  const running = renewEachMinute(
    async () => {
      checks++;
      renew();
    },
    { clock, logger },
    abort.signal,
  );
  return {
    clock,
    logger,
    checks: () => checks,
    async [Symbol.asyncDispose]() {
      abort.abort();
      await running;
      assert.equal(clock.sleepers, 0);
    },
  };
}

test("renewEachMinute() checks each minute, also after a failure", async () => {
  await using running = start(() => {
    throw new Error("no space left on device");
  });
  await running.clock.advance(59_999);
  assert.equal(running.checks(), 0);
  await running.clock.advance(1);
  assert.equal(running.checks(), 1);
  await running.clock.advance(120_000);
  assert.equal(running.checks(), 3);
  assert.equal(running.logger.messages("error").length, 3);
});

for (const { name, ms } of CLOCK_JUMPS) {
  test(`renewEachMinute() checks within seconds when the clock was set ${name}, and then each minute`, async () => {
    await using running = start();
    await running.clock.advance(12_000);
    running.clock.set(ms);
    await running.clock.advance(5_000);
    assert.equal(running.checks(), 1);
    await running.clock.advance(60_000);
    assert.equal(running.checks(), 2);
  });
}

test("renewEachMinute() does not check after small corrections by NTP", async () => {
  await using running = start();
  for (let second = 0; second < 50; second++) {
    running.clock.set(second % 2 === 0 ? 900 : -900);
    await running.clock.advance(1_000);
  }
  assert.equal(running.checks(), 0);
});
