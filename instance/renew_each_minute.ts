/** Renewal while the process runs: a check each minute and after a clock change, repeated after failures. */
import type { Clock, Logger } from "../core/ports.ts";

/** Short enough for certificates of one hour, long enough to cost nothing. */
const CHECK_INTERVAL_MS = 60_000;
/** How soon a clock change is noticed: after a year forward, for example, the serving certificate has expired. */
const CLOCK_CHECK_MS = 5_000;
/** A difference larger than NTP corrects at once without setting the clock. */
const CLOCK_CHANGE_MS = 1_000;

/** Runs `renew` each minute and soon after a clock change; resolves when the signal aborts. */
export async function renewEachMinute(
  renew: () => Promise<void>,
  deps: { readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleepUntilNextCheck(deps.clock, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    try {
      await renew();
    } catch (error) {
      deps.logger.error("renewal failed, trying again", { error });
    }
  }
}

async function sleepUntilNextCheck(clock: Clock, signal: AbortSignal): Promise<void> {
  const aheadMs = (): number => clock.now().getTime() - clock.elapsedMs();
  const before = aheadMs();
  const endsAt = clock.elapsedMs() + CHECK_INTERVAL_MS;
  while (clock.elapsedMs() < endsAt && Math.abs(aheadMs() - before) < CLOCK_CHANGE_MS) {
    await clock.sleep(CLOCK_CHECK_MS, signal);
  }
}
