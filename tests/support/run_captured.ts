/** The program within the process of a test: what one run of it printed, and how it ended. */
import { run } from "../../cli/run.ts";
import { type CapturedIoOptions, createCapturedIo } from "./captured_io.ts";
import { createSeededRandom } from "./seeded_random.ts";

export interface CapturedRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function runCaptured(
  args: readonly string[],
  options: CapturedIoOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<CapturedRun> {
  const io = createCapturedIo(options);
  const code = await run(args, io, signal);
  return { code, stdout: io.stdoutText(), stderr: io.stderrText() };
}

/** Runs a command line, whose words have no spaces. */
export type Runner = (line: string, options?: CapturedIoOptions) => Promise<CapturedRun>;

/** Creates a runner of command lines in a folder, one after another, so that no two have the same randomness. */
export function createRunner(cwd: string, base: CapturedIoOptions = {}): Runner {
  const random = createSeededRandom();
  return (line, options = {}) => runCaptured(line.split(" "), { cwd, random, ...base, ...options });
}
