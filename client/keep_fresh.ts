/**
 * The loop that keeps a certificate or a file of CAs fresh while a process runs. Each step does what is due, and
 * decides when the next one begins.
 */
import { AppError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import { waitForAbort } from "../core/lib/waiting.ts";

/** When the next step begins. A change begins it at once. */
export type NextStep =
  | { readonly kind: "sleep"; readonly until: Date }
  /** A duration, so that a clock change does not extend it. */
  | { readonly kind: "pause"; readonly ms: number }
  /** Only a change begins it. */
  | { readonly kind: "idle" };

/** The steps, what interrupts a wait, and the clock. */
interface Freshness {
  /** Does what is due, and decides when the next step begins. */
  readonly step: (signal: AbortSignal) => Promise<NextStep>;
  /**
   * Reports a failure, and decides when to try again. `failures` counts the failures since the last success. If it
   * throws, the loop ends.
   */
  readonly onFailure: (error: AppError, failures: number) => NextStep;
  /** Returns a signal that fires at the next change. */
  readonly changed?: () => AbortSignal;
  readonly clock: Clock;
}

/**
 * Repeats the step until the signal fires, then rejects with its reason. An error that is not an AppError is a bug, and ends
 * the loop.
 */
export async function keepFresh({ step, onFailure, changed, clock }: Freshness, signal: AbortSignal): Promise<never> {
  let failures = 0;
  while (true) {
    signal.throwIfAborted();
    const change = changed?.();
    const either = change === undefined ? signal : AbortSignal.any([signal, change]);
    let next: NextStep;
    try {
      next = await step(signal);
      failures = 0;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      next = onFailure(error, ++failures);
    }
    try {
      if (next.kind === "sleep") await clock.sleepUntil(next.until, either);
      else if (next.kind === "idle") await waitForAbort(either);
      else if (next.ms > 0) await clock.sleep(next.ms, either);
    } catch (error) {
      signal.throwIfAborted();
      if (change?.aborted !== true) throw error;
    }
  }
}

/** Provides a value and signals a change of it. */
export interface Source<T> {
  current(): T;
  /** Returns a signal that fires when the value changes after this call. */
  changed(): AbortSignal;
}

/** A source whose value can be replaced. */
export interface Holder<T> extends Source<T> {
  set(value: T): void;
}

/** Creates a source whose value never changes. */
export function createFixedSource<T>(value: T): Source<T> {
  const never = new AbortController().signal;
  return { current: () => value, changed: () => never };
}

/** Creates a source with an initial value that can be replaced. */
export function createHolder<T>(initial: T): Holder<T> {
  let value = initial;
  let change = new AbortController();
  return {
    current: () => value,
    changed: () => change.signal,
    set(next) {
      value = next;
      const previous = change;
      change = new AbortController();
      previous.abort();
    },
  };
}
