/**
 * Returns memory to the system when a busy server becomes idle. V8 collects garbage only when memory is allocated, so
 * the heap would stay as large as it was at the start or under load.
 */
import { getErrorMessage } from "../core/errors.ts";
import type { Clock, Logger } from "../core/ports.ts";

/** The state of the heap, and the load of the process that fills it. */
export interface Heap {
  /** The share of the time since the last call in which the event loop was busy, from 0 to 1. */
  busyShare(): number;
  /** Bytes of all objects, including garbage that is not collected yet. */
  usedBytes(): number;
  /** Collects garbage and returns memory to the system. This blocks the process, about 1 ms for each megabyte in use. */
  collect(): void;
}

const CHECK_INTERVAL_MS = 2_000;
/** The leases of a thousand nodes, and an idle server on a busy machine, stay below this. */
const BUSY_SHARE = 0.25;
/** The number of consecutive idle checks before a collection. */
const IDLE_CHECKS = 2;
/** The minimum number of checks between collections, so that intermittent work is not interrupted each time. */
const MIN_CHECKS_BETWEEN = 10;
/** A larger heap would take too long to collect. */
const MAX_USED_BYTES = 200_000_000;

/** Collects garbage once after each busy period, the start included, until it is disposed. */
export function keepHeapSmall(
  heap: Heap,
  { clock, logger }: { readonly clock: Pick<Clock, "sleep">; readonly logger: Logger },
): Disposable {
  const stop = new AbortController();
  collectWhenIdle(heap, clock, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) {
      logger.warn("unused memory is no longer returned to the system", { error: getErrorMessage(error) });
    }
  });
  return { [Symbol.dispose]: () => stop.abort() };
}

async function collectWhenIdle(heap: Heap, clock: Pick<Clock, "sleep">, signal: AbortSignal): Promise<never> {
  for (let quiet = 0, wasBusy = true, since = MIN_CHECKS_BETWEEN;; since++) {
    await clock.sleep(CHECK_INTERVAL_MS, signal);
    if (heap.busyShare() > BUSY_SHARE) {
      wasBusy = true;
      quiet = 0;
    } else if (wasBusy && ++quiet >= IDLE_CHECKS && since >= MIN_CHECKS_BETWEEN) {
      if (heap.usedBytes() <= MAX_USED_BYTES) heap.collect();
      wasBusy = false;
      since = 0;
      // The time of the collection itself does not count as work.
      heap.busyShare();
    }
  }
}
