/** Commands in the process of a test, by a fake clock and seeded randomness unless the test gives others. */
import type { CapturedIoOptions } from "./captured_io.ts";
import { type Finished, startCaptured } from "./child.ts";
import { createSeededRandom } from "./seeded_random.ts";

export type { Finished as CapturedRun } from "./child.ts";

/** Runs a command to its end. */
export async function runCaptured(
  args: readonly string[],
  options: CapturedIoOptions,
  signal?: AbortSignal,
): Promise<Finished> {
  return await startCaptured(args, options, signal).finished();
}

/** Runs a command line; a word in quotes may contain spaces. */
export type Runner = (line: string, options?: CapturedIoOptions) => Promise<Finished>;

/** Creates a runner of command lines in a folder, one after another, so that no two have the same randomness. */
export function createRunner(cwd: string, base: CapturedIoOptions = {}): Runner {
  const random = createSeededRandom();
  return (line, options = {}) => {
    const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
    return runCaptured(words, { cwd, random, ...base, ...options });
  };
}
