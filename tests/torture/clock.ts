/** A node's clock, which skips most of the time until a renewal. */
import type { Clock, Random } from "../../core/ports.ts";

/** The longest wait for a renewal. */
const RENEWAL_PAUSE_MS = 1_500;
/** The factor by which pauses between attempts are shortened; otherwise a storm would mostly wait. */
const SPEEDUP = 20;
/** Only pauses in this range are shortened; shorter and longer ones are time limits. */
const [SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS] = [1_001, 60_000];

/** A clock that skips ahead and can be set back to the right time, as after each renewal. */
export interface SkippingClock extends Clock {
  reset(): void;
}

/** Creates a clock that jumps ahead instead of waiting for an instant. */
export function createSkippingClock(clock: Clock, random: Random): SkippingClock {
  let aheadMs = 0;
  const now = (): Date => new Date(clock.now().getTime() + aheadMs);
  return {
    now,
    async sleepUntil(deadline, signal) {
      await clock.sleep(RENEWAL_PAUSE_MS * random.float(), signal);
      aheadMs = Math.max(aheadMs, deadline.getTime() - clock.now().getTime());
    },
    elapsedMs: () => clock.elapsedMs(),
    sleep: (ms, signal) => clock.sleep(ms >= SHORTEST_PAUSE_MS && ms <= LONGEST_PAUSE_MS ? ms / SPEEDUP : ms, signal),
    reset: () => void (aheadMs = 0),
  };
}
