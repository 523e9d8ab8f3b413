/** Keeps something fresh while the process runs: looks every few minutes, and survives a look that fails. */
import type { Clock, Logger } from "../../core/ports.ts";

/** Short enough for certificates of an hour, long enough to cost nothing. */
const LOOK_EVERY_MS = 60_000;

/** Runs `renew` each minute until the signal aborts, then resolves. */
export async function keepFresh(
  renew: () => Promise<void>,
  deps: { readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await deps.clock.sleep(LOOK_EVERY_MS, signal);
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
