/** A clock for tests over real sockets: short pauses end at once, long limits only when the test ends them. */
import type { Clock } from "../../core/ports.ts";
import type { FakeClock } from "./fake_clock.ts";

/**
 * Sleeps whose length is in the range move the fake clock to their end; all others wait for it. So backoff takes no
 * time, while the limit of a watch cannot fire just because the machine is slow.
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
