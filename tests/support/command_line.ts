/** Command lines and exit codes of the programs that developers start, such as the benchmarks and the fuzzer. */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { parseArgs, type ParseArgsConfig } from "node:util";
import { getErrorMessage } from "../../core/errors.ts";

/** An error in a command line. */
export class UsageError extends Error {}

/** Parses a command line as `parseArgs` does, but throws `UsageError`. */
export function parseFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(getErrorMessage(error), { cause: error });
  }
}

/** Parses the value of a flag; throws `UsageError` unless it is a whole number of at least `least`. */
export function wholeNumber(name: string, text: string, least = 0): number {
  if (/^\d{1,10}$/.test(text) && Number(text) >= least) return Number(text);
  throw new UsageError(`--${name} must be a whole number from ${least} on, not ${JSON.stringify(text)}`);
}

/** Parses the value of a flag; throws `UsageError` unless it is a number above 0 and at most `most`. */
export function positiveNumber(name: string, text: string, most = Infinity): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0 && value <= most) return value;
  const limit = most === Infinity ? "" : ` and at most ${most}`;
  throw new UsageError(`--${name} must be a number above 0${limit}, not ${JSON.stringify(text)}`);
}

/** Runs a program to its end. The exit code is the result of `main`, 2 for a `UsageError`, or 1 for any other error. */
export function runMain(name: string, main: () => Promise<number>): void {
  main().then((code) => process.exit(code), (error: unknown) => {
    const isUsage = error instanceof UsageError;
    process.stderr.write(`${name}: ${error instanceof Error && !isUsage ? error.stack : getErrorMessage(error)}\n`);
    process.exit(isUsage ? 2 : 1);
  });
}

/** Finds the commit of the sources, marked as dirty when they have changed since. */
export function findCommit(): string {
  try {
    const args = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
}
