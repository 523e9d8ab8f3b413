/** Reloads a value when the files that it is made of change while the process runs. */
import { getErrorMessage } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

/** How a value is reloaded, and how changes and faults are reported. */
export interface ReloaderOptions<T> {
  readonly first: T;
  /** Loads the value from the files; returns `known` itself when they have not changed since. */
  readonly load: (known: T) => Promise<T>;
  readonly clock: Pick<Clock, "elapsedMs">;
  /** Returns a number that grows when the files are known to have changed, so that they are compared at once. */
  readonly version?: (() => number) | undefined;
  readonly onChange: (value: T) => void;
  /** Called with the reason why the files cannot be used, once for consecutive equal reasons. */
  readonly onFault: (fault: string) => void;
}

/** Files are compared at most once a second. */
const CHECK_INTERVAL_MS = 1_000;

/** Creates a function that returns the newest valid value; files that cannot be used keep the old one. It never rejects. */
export function createReloader<T>(
  { first, load, clock, version = () => 0, onChange, onFault }: ReloaderOptions<T>,
): () => Promise<T> {
  let current = first;
  let checkedVersion = version();
  let checkedAt = clock.elapsedMs();
  let refused = "";
  let check: Promise<void> | undefined;

  async function reload(): Promise<void> {
    try {
      const next = await load(current);
      const isNew = next !== current;
      current = next;
      refused = "";
      if (isNew) onChange(next);
    } catch (error) {
      const fault = getErrorMessage(error);
      if (fault !== refused) onFault(fault);
      refused = fault;
    }
  }

  return async function getCurrent(): Promise<T> {
    const [now, wanted] = [clock.elapsedMs(), version()];
    if (check === undefined && (now - checkedAt >= CHECK_INTERVAL_MS || wanted !== checkedVersion)) {
      checkedAt = now;
      checkedVersion = wanted;
      check = reload().finally(() => {
        check = undefined;
      });
    }
    await check;
    // The check may have begun before the files changed.
    return checkedVersion < wanted ? await getCurrent() : current;
  };
}
