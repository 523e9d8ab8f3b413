/** What is made of files that people change while a process runs. */
import { getErrorMessage } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

/** How it is made anew, and who hears of it. */
export interface ReloaderOptions<T> {
  /** What was made at the start. */
  readonly first: T;
  /** Makes it of what the files hold by now; the very same value when they hold what `known` was made of. */
  readonly load: (known: T) => Promise<T>;
  readonly clock: Pick<Clock, "elapsedMs">;
  /** Told of each new value. */
  readonly onChange: (value: T) => void;
  /** Told why the files cannot be used, once for each reason. */
  readonly onFault: (fault: string) => void;
}

/** Files are compared at most once a second. */
const CHECK_INTERVAL_MS = 1_000;

/** Gives the newest value that was good; files that cannot be used leave the old one in use. Never rejects. */
export function createReloader<T>({ first, load, clock, onChange, onFault }: ReloaderOptions<T>): () => Promise<T> {
  let current = first;
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

  return async () => {
    const now = clock.elapsedMs();
    if (check === undefined && now - checkedAt >= CHECK_INTERVAL_MS) {
      checkedAt = now;
      check = reload().finally(() => {
        check = undefined;
      });
    }
    await check;
    return current;
  };
}
