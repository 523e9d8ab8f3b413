/** The dependencies of every command of the benchmarks. */
import type { Machine } from "./machine.ts";
import type { Options } from "./options.ts";
import type { Program } from "./program.ts";

/** Everything that was made ready. */
export interface Bench {
  readonly options: Options;
  /** The Node that ours runs on. */
  readonly node: string;
  /** The released file; built on first use, which takes a while. */
  readonly program: () => Promise<Program>;
  /** Prints a line of progress on stderr. */
  readonly progress: (text: string) => void;
  /** Reads the facts of the machine; called at the end, because the load is one of them. */
  readonly machine: () => Machine;
}
