/** Limits in time on anything that takes a signal. */
import type { Clock } from "../core/ports.ts";

/** A signal with a limit; disposing it stops its timer. */
export interface TimeLimit extends AsyncDisposable {
  /** Fires with the outer signal's reason, or with the limit's error when the time is over. */
  readonly signal: AbortSignal;
}

/** Makes a signal that also fires, with `createError()`, once so many milliseconds have passed. */
export function limitTime(clock: Clock, ms: number, createError: () => Error, signal: AbortSignal): TimeLimit {
  const over = new AbortController();
  const stop = new AbortController();
  const sleep = clock.sleep(ms, AbortSignal.any([signal, stop.signal])).then(
    () => over.abort(createError()),
    () => {}, // stopped or aborted: nobody waits for the limit any more
  );
  return {
    signal: AbortSignal.any([signal, over.signal]),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await sleep;
    },
  };
}
