/** Clocks for tests: one that only a test advances, and one that skips short sleeps. */
import type { Clock } from "../../core/ports.ts";

export interface FakeClock extends Clock {
  /** The number of sleeping callers. */
  readonly sleepers: number;
  /** Advances the time. Each sleeper wakes at its deadline, and may sleep again within the same span. */
  advance(ms: number): Promise<void>;
  /**
   * Jumps ahead without waking sleepers, as when a machine was suspended; the next `advance` wakes those that are due.
   */
  jump(ms: number): void;
  /** Sets the wall clock forward or back, as an administrator or NTP does; no time passes. */
  set(ms: number): void;
}

interface Sleeper {
  leftMs(): number;
  wake(): void;
}

/** Creates a clock that is stopped at a time. */
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

/** Waits for a few turns of the event loop, in which everything that needs no time runs. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** The number of turns after which `until` pauses between turns, because it waits for a disk. */
const QUICK_TURNS = 1_000;
const POLL_MS = 5;
const UNTIL_TIMEOUT_MS = 60_000;

/** Waits until a condition holds, without advancing the fake time: for cryptography and disks. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + UNTIL_TIMEOUT_MS;
  for (let [turn, isOver] = [0, false]; !isOver; turn += 1) {
    isOver = Date.now() >= end;
    if (condition()) return;
    if (turn < QUICK_TURNS) await settle(1);
    else await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error("the condition did not become true");
}

/**
 * Creates a clock for tests over real sockets. Sleeps with a length in the range, such as backoff, advance the fake
 * clock and end at once. All others, such as the limit of a watch, wait for the test.
 */
export function createSkippingClock(clock: FakeClock, fromMs: number, toMs: number): Clock {
  async function skipOrWait(lengthMs: number, wait: () => Promise<void>, signal: AbortSignal): Promise<void> {
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
      skipOrWait(deadline.getTime() - clock.now().getTime(), () => clock.sleepUntil(deadline, signal), signal),
    sleep: (ms, signal) => skipOrWait(ms, () => clock.sleep(ms, signal), signal),
  };
}

const HOUR_MS = 3_600_000;

/** Changes of the wall clock: by hand, by NTP after a boot without a battery, and by daylight saving time. */
export const CLOCK_JUMPS: readonly { readonly name: string; readonly ms: number }[] = [
  { name: "an hour forward", ms: HOUR_MS },
  { name: "an hour back", ms: -HOUR_MS },
  { name: "a year forward", ms: 365 * 24 * HOUR_MS },
  { name: "a year back", ms: -365 * 24 * HOUR_MS },
];
