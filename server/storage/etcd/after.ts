/** Timers that a test can hand in. */
import { clearTimeout, setTimeout } from "node:timers";

/** Runs something once, so many milliseconds later; what it answers cancels that. */
export type After = (ms: number, run: () => void) => () => void;

/** By the machine's timers. */
export function afterReal(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
