/** Clocks for tests: one that moves only when a test moves it, and one that does not wait for short pauses. */
import type { Clock } from "../../core/ports.ts";

/** Time under a test's control. */
export interface FakeClock extends Clock {
  /** The number of callers that are sleeping. */
  readonly sleepers: number;
  /**
   * Moves on, waking each sleeper at its own deadline and letting what it starts run, so that sleeps that follow one
   * another within the span are all seen.
   */
  advance(ms: number): Promise<void>;
  /**
   * Jumps without waking the sleepers, as a machine that slept does; the next `advance` wakes all whose time has come.
   */
  jump(ms: number): void;
  /** Sets the wall clock forward or back, as a person or NTP does; no time passes. */
  set(ms: number): void;
}

interface Sleeper {
  leftMs(): number;
  wake(): void;
}

/** Creates a clock that stands still at a time. */
export function createFakeClock(start: Date | string = "2026-01-01T00:00:00Z"): FakeClock {
  let now = new Date(start).getTime();
  let elapsed = 0;
  const sleepers = new Set<Sleeper>();

  function wait(leftMs: () => number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (leftMs() <= 0) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper: Sleeper = { leftMs, wake: () => end(resolve) };
    const abort = (): void => end(() => reject(signal.reason));
    function end(answer: () => void): void {
      sleepers.delete(sleeper);
      signal.removeEventListener("abort", abort);
      answer();
    }
    sleepers.add(sleeper);
    signal.addEventListener("abort", abort, { once: true });
    return promise;
  }

  function jump(ms: number): void {
    now += ms;
    elapsed += ms;
  }

  async function advance(ms: number): Promise<void> {
    const target = elapsed + ms;
    await settle();
    while (true) {
      const next = [...sleepers].sort((a, b) => a.leftMs() - b.leftMs())[0];
      if (next === undefined || elapsed + next.leftMs() > target) break;
      jump(Math.max(0, next.leftMs()));
      next.wake();
      await settle();
    }
    jump(Math.max(0, target - elapsed));
  }

  return {
    now: () => new Date(now),
    sleepUntil: (deadline, signal) => wait(() => deadline.getTime() - now, signal),
    elapsedMs: () => elapsed,
    sleep(ms, signal) {
      const endsAt = elapsed + ms;
      return wait(() => endsAt - elapsed, signal);
    },
    advance,
    jump,
    set: (ms) => void (now += ms),
    get sleepers() {
      return sleepers.size;
    },
  };
}

/** Lets everything run that can run without time passing: a few turns of the event loop. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** The number of turns in which only the event loop is waited for; a disk takes longer. */
const QUICK_TURNS = 1_000;
const LOOK_EVERY_MS = 5;
const LOOK_FOR_MS = 60_000;

/** Turns the event loop until a condition holds: for cryptography and disks, which take real turns and no fake time. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + LOOK_FOR_MS;
  for (let [turn, isOver] = [0, false]; !isOver; turn += 1) {
    isOver = Date.now() >= end;
    if (condition()) return;
    if (turn < QUICK_TURNS) await settle(1);
    else await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error("the condition never came true");
}

/**
 * Creates a clock for tests over real sockets. Sleeps whose length is in the range move the fake clock to their end; all
 * others wait for it. So backoff takes no time, while the limit of a watch cannot fire just because the machine is slow.
 */
export function createImpatientClock(clock: FakeClock, fromMs: number, toMs: number): Clock {
  async function hurry(lengthMs: number, wait: () => Promise<void>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (lengthMs < fromMs || lengthMs > toMs) return await wait();
    clock.jump(lengthMs);
    await new Promise<void>((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
  }
  return {
    now: () => clock.now(),
    elapsedMs: () => clock.elapsedMs(),
    sleepUntil: (deadline, signal) =>
      hurry(deadline.getTime() - clock.now().getTime(), () => clock.sleepUntil(deadline, signal), signal),
    sleep: (ms, signal) => hurry(ms, () => clock.sleep(ms, signal), signal),
  };
}

const HOUR_MS = 3_600_000;

/** How far clocks are set by people, by NTP after a boot without a battery, and by daylight saving on a clock of local time. */
export const CLOCK_JUMPS: readonly { readonly name: string; readonly ms: number }[] = [
  { name: "an hour forward", ms: HOUR_MS },
  { name: "an hour back", ms: -HOUR_MS },
  { name: "a year forward", ms: 365 * 24 * HOUR_MS },
  { name: "a year back", ms: -365 * 24 * HOUR_MS },
];
