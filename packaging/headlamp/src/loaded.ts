/** Data of the cluster in a component: read at once, every few seconds, and after each decision. */
import { useEffect, useState } from "react";
import { getErrorMessage, isAppError } from "../../../core/errors.ts";

/** How often a page reads the cluster again, in milliseconds. Headlamp's own watches need no less than a kind's class. */
const REFRESH_MS = 5_000;

/** The state of data that is read from the cluster. */
export interface Loaded<T> {
  /** The last data; undefined before the first answer. */
  readonly value: T | undefined;
  /** Why the last attempt failed. */
  readonly fault: string | undefined;
  /** Reads the data again at once, without waiting for the next round. */
  readonly refresh: () => void;
}

/** Reads data as long as the component is shown, and anew when the key changes. */
export function useLoaded<T>(key: string, read: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ readonly value?: T; readonly fault?: string }>({});
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = async (): Promise<void> => {
      try {
        const value = await read(stop.signal);
        if (!stop.signal.aborted) setState({ value });
      } catch (error) {
        if (!stop.signal.aborted) setState((before) => ({ ...before, fault: getErrorMessage(error) }));
      }
      if (!stop.signal.aborted) timer = setTimeout(load, REFRESH_MS);
    };
    void load();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, round]);
  return { value: state.value, fault: state.fault, refresh: () => setRound((before) => before + 1) };
}

/** Describes a failure for a person, with the next step if it is known. */
export function describeFailure(error: unknown): string {
  const hint = isAppError(error) ? error.hint : undefined;
  return hint === undefined ? getErrorMessage(error) : `${getErrorMessage(error)}; ${hint}`;
}
