/**
 * A server that was busy gives memory back once it is quiet: V8 collects when memory is asked for, so a heap stays as
 * large as a storm or the start made it for as long as nothing happens.
 */
import { getErrorMessage } from "../../core/errors.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import type { Heap } from "../heap.ts";

const LOOK_MS = 2_000;
/** The leases of a thousand nodes are less, and so is what a busy machine takes away from one that does nothing. */
const BUSY_SHARE = 0.25;
/** In a row, before memory is given back. */
const QUIET_LOOKS = 2;
/** Work that comes and goes is not interrupted each time. */
const LEAST_LOOKS_BETWEEN = 10;
/** Above this nobody should wait for it. */
const MOST_USED_BYTES = 200_000_000;

/** Collects once after each time of work, that of the start first, until it is disposed of. */
export function keepHeapSmall(
  heap: Heap,
  { clock, logger }: { readonly clock: Pick<Clock, "sleep">; readonly logger: Logger },
): Disposable {
  const stop = new AbortController();
  follow(heap, clock, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) logger.warn("memory is not given back any more", { error: getErrorMessage(error) });
  });
  return { [Symbol.dispose]: () => stop.abort() };
}

async function follow(heap: Heap, clock: Pick<Clock, "sleep">, signal: AbortSignal): Promise<never> {
  for (let quiet = 0, wasBusy = true, since = LEAST_LOOKS_BETWEEN;; since++) {
    await clock.sleep(LOOK_MS, signal);
    if (heap.busyShare() > BUSY_SHARE) {
      wasBusy = true;
      quiet = 0;
    } else if (wasBusy && ++quiet >= QUIET_LOOKS && since >= LEAST_LOOKS_BETWEEN) {
      if (heap.usedBytes() <= MOST_USED_BYTES) heap.collect();
      wasBusy = false;
      since = 0;
      // What the collection took is no work.
      heap.busyShare();
    }
  }
}
