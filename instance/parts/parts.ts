/**
 * The parts of an instance, such as its storage or its server. They start and renew in order, and end in reverse order.
 * Renewal is checked each minute and after a clock change, and repeated after failures.
 */
import { getErrorMessage } from "../../core/errors.ts";
import type { Clock, Logger } from "../../core/ports.ts";

/** A part that has started. */
export interface Part extends Partial<AsyncDisposable>, Partial<Disposable> {
  /** Checks the certificates and other contents of the part, and renews those that are due. Called each minute. */
  renew?(): Promise<void>;
}

/**
 * The list of the parts that have started. Each part is added as soon as it has started, so a start that fails disposes
 * all earlier parts:
 *
 * ```ts ignore
 * await using starting = new Parts();
 * const storage = starting.add(await openStorage());
 * const server = starting.add(await startServer(storage));
 * const parts = starting.move();
 * ```
 */
export class Parts implements AsyncDisposable {
  #disposals = new AsyncDisposableStack();
  #renewals: (() => Promise<void>)[] = [];
  /** The end of the last renewal that was requested. */
  #renewed: Promise<void> = Promise.resolve();

  /** Adds a part, which this list now disposes, and returns it. */
  add<P extends Part>(part: P): P {
    const { renew } = part;
    if (renew !== undefined) this.#renewals.push(async () => await renew.call(part));
    this.#disposals.defer(async () => {
      if (part[Symbol.asyncDispose] !== undefined) await part[Symbol.asyncDispose]?.();
      else part[Symbol.dispose]?.();
    });
    return part;
  }

  /**
   * Renews the parts in the order in which they started, after earlier calls have finished. A part that fails does not
   * stop the others; its failure is thrown afterwards, or one error with the messages of all failures.
   */
  renew(): Promise<void> {
    const renewing = this.#renewed.then(async () => {
      const failures: unknown[] = [];
      for (const renew of this.#renewals) await renew().catch((error: unknown) => failures.push(error));
      if (failures.length > 1) throw new AggregateError(failures, failures.map(getErrorMessage).join("; "));
      if (failures.length > 0) throw failures[0];
    });
    this.#renewed = renewing.catch(() => undefined);
    return renewing;
  }

  /** Moves all parts into a new list, so that disposing this one does nothing. */
  move(): Parts {
    const moved = new Parts();
    moved.#disposals = this.#disposals.move();
    moved.#renewals = this.#renewals.splice(0);
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disposals.disposeAsync();
  }
}

/**
 * Runs work in the background until the signal aborts or the part is disposed, which waits for the work to end. A
 * failure before that is passed to `onFailure`.
 */
export function runInBackground(
  work: (signal: AbortSignal) => Promise<void>,
  { until, onFailure }: { readonly until: AbortSignal; readonly onFailure: (error: unknown) => void },
): Part {
  const stop = new AbortController();
  const signal = AbortSignal.any([until, stop.signal]);
  let isReported = false;
  const running = work(signal);
  running.catch((error: unknown) => {
    if (signal.aborted) return;
    isReported = true;
    onFailure(error);
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("the instance is stopping"));
      await running.catch((error: unknown) => {
        if (!isReported) throw error;
      });
    },
  };
}

/** Short enough for certificates of one hour, long enough to cost nothing. */
const CHECK_INTERVAL_MS = 60_000;
/** How soon a clock change is noticed: after a year forward, for example, the serving certificate has expired. */
const CLOCK_CHECK_MS = 5_000;
/** Larger than any difference that NTP corrects without setting the clock. */
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
