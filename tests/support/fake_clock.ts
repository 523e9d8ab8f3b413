/** A clock that moves only when a test says so. */
import type { Clock } from "../../core/ports.ts";

/** Time under a test's control. */
export interface FakeClock extends Clock {
  /** How many sleepers wait. */
  readonly sleepers: number;
  /**
   * Moves on, waking each sleeper at its own deadline and letting what it starts run, so that sleeps that follow one
   * another within the span are all seen.
   */
  advance(ms: number): Promise<void>;
  /** Jumps without waking anybody, as a machine that slept does; the next `advance` wakes all whose time has come. */
  jump(ms: number): void;
}

interface Sleeper {
  readonly at: number;
  wake(): void;
}

/** Makes a clock that stands at a time. */
export function createFakeClock(start: Date | string = "2026-01-01T00:00:00Z"): FakeClock {
  let now = new Date(start).getTime();
  const sleepers = new Set<Sleeper>();

  function sleepUntil(deadline: Date, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (deadline.getTime() <= now) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper: Sleeper = { at: deadline.getTime(), wake: () => end(resolve) };
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

  async function advance(ms: number): Promise<void> {
    const target = now + ms;
    await settle();
    while (true) {
      const next = [...sleepers].sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > target) break;
      now = Math.max(now, next.at);
      next.wake();
      await settle();
    }
    now = Math.max(now, target);
  }

  return {
    now: () => new Date(now),
    sleepUntil,
    advance,
    jump: (ms) => void (now += ms),
    get sleepers() {
      return sleepers.size;
    },
  };
}

/** Lets everything run that can run without time passing: a few turns of the event loop. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Turns the event loop until a condition holds; for work such as cryptography that takes real turns, not fake time. */
export async function until(condition: () => boolean, turns = 10_000): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    if (condition()) return;
    await settle(1);
  }
  throw new Error("the condition never came true");
}
