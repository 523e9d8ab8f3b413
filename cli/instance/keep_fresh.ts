/** Keeps something fresh while the process runs: looks each minute and when the clock was set, and survives a look that fails. */
import type { Clock, Logger } from "../../core/ports.ts";

/** Short enough for certificates of an hour, long enough to cost nothing. */
const LOOK_EVERY_MS = 60_000;
/** How soon a clock that was set is noticed: a year forward, and a serving certificate is over. */
const COMPARE_EVERY_MS = 5_000;
/** More than NTP corrects at a time without setting the clock. */
const SET_MS = 1_000;

/** Runs `renew` each minute, and soon after the clock was set, until the signal aborts, then resolves. */
export async function keepFresh(
  renew: () => Promise<void>,
  deps: { readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleepUntilNextLook(deps.clock, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    try {
      await renew();
    } catch (error) {
      deps.logger.error("renewal failed, it is tried again", { error });
    }
  }
}

async function sleepUntilNextLook(clock: Clock, signal: AbortSignal): Promise<void> {
  const aheadMs = (): number => clock.now().getTime() - clock.elapsedMs();
  const before = aheadMs();
  const endsAt = clock.elapsedMs() + LOOK_EVERY_MS;
  while (clock.elapsedMs() < endsAt && Math.abs(aheadMs() - before) < SET_MS) {
    await clock.sleep(COMPARE_EVERY_MS, signal);
  }
}
