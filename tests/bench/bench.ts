/** The dependencies of every command of the benchmarks. */
import type { Machine } from "./machine.ts";
import type { Options } from "./options.ts";
import type { Program } from "./program.ts";

export interface Bench {
  readonly options: Options;
  /** The Node that tlsboot runs on. */
  readonly node: string;
  /** Returns the released file; the first call builds it, which takes a while. */
  readonly program: () => Promise<Program>;
  /** Prints a line on stderr. */
  readonly progress: (text: string) => void;
  /** Reads the facts about the machine. Call it at the end, because they include the load. */
  readonly machine: () => Machine;
}
