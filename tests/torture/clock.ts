/** A node's clock, on which the time until a renewal passes in a moment. */
import type { Clock, Random } from "../../core/ports.ts";

/** The longest wait for a renewal. */
const RENEWAL_PAUSE_MS = 1_500;
/** The factor by which pauses between two attempts are shortened; otherwise most of a storm would be waiting. */
const HASTE = 20;
/** Pauses are between these; what is shorter or longer is the limit of something. */
const [SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS] = [1_001, 60_000];

/** A clock that can be set right again, as after each renewal. */
export interface HastyClock extends Clock {
  setRight(): void;
}

/** Waits for a moment are jumps, by which the clock is ahead from then on. */
export function createHastyClock(clock: Clock, random: Random): HastyClock {
  let aheadMs = 0;
  const now = (): Date => new Date(clock.now().getTime() + aheadMs);
  return {
    now,
    async sleepUntil(deadline, signal) {
      await clock.sleep(RENEWAL_PAUSE_MS * random.float(), signal);
      aheadMs = Math.max(aheadMs, deadline.getTime() - clock.now().getTime());
    },
    elapsedMs: () => clock.elapsedMs(),
    sleep: (ms, signal) => clock.sleep(ms >= SHORTEST_PAUSE_MS && ms <= LONGEST_PAUSE_MS ? ms / HASTE : ms, signal),
    setRight: () => void (aheadMs = 0),
  };
}
