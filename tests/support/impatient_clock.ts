/** A clock for tests over real sockets: short pauses are over at once, long limits only when the test says so. */
import type { Clock } from "../../core/ports.ts";
import type { FakeClock } from "./fake_clock.ts";

/**
 * Sleeps whose length lies in the range move the fake clock to their deadline and end; all others wait for it. So
 * backoff takes no time, while the limit of a watch cannot fire just because the machine is slow.
 */
export function createImpatientClock(clock: FakeClock, fromMs: number, toMs: number): Clock {
  return {
    now: () => clock.now(),
    async sleepUntil(deadline, signal) {
      signal.throwIfAborted();
      const lengthMs = deadline.getTime() - clock.now().getTime();
      if (lengthMs < fromMs || lengthMs > toMs) return await clock.sleepUntil(deadline, signal);
      clock.jump(lengthMs);
      await new Promise<void>((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    },
  };
}
