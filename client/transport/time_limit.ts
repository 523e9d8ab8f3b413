/** Time limits on operations that take an abort signal. */
import type { Clock } from "../../core/ports.ts";

/** A signal with a limit; disposing it stops its timer. */
interface TimeLimit extends AsyncDisposable {
  /** Fires with the outer signal's reason, or with the limit's error when the time limit has passed. */
  readonly signal: AbortSignal;
}

/** The abort reason of a stopped timer. No one sees it, but without it each abort would capture a stack. */
const STOPPED = new Error("the limit is no longer needed");

/** Creates a signal that also fires, with `createError()`, after `ms` milliseconds. */
export function limitTime(clock: Clock, ms: number, createError: () => Error, signal: AbortSignal): TimeLimit {
  const over = new AbortController();
  const stop = new AbortController();
  const sleep = clock.sleep(ms, AbortSignal.any([signal, stop.signal])).then(
    () => over.abort(createError()),
    () => {}, // stopped or aborted: the limit is no longer needed
  );
  return {
    signal: AbortSignal.any([signal, over.signal]),
    async [Symbol.asyncDispose]() {
      stop.abort(STOPPED);
      await sleep;
    },
  };
}
