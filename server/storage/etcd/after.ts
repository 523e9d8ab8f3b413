/** Timers that a test can replace. */
import { clearTimeout, setTimeout } from "node:timers";

/** Runs a function once after a number of milliseconds; the returned function cancels it. */
export type After = (ms: number, run: () => void) => () => void;

export function afterReal(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
