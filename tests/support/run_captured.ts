/** Commands in the process of a test, by default with a fake clock and seeded randomness. */
import assert from "node:assert/strict";
import type { CapturedIoOptions } from "./captured_io.ts";
import { type Finished, startCaptured } from "./child.ts";
import { createSeededRandom } from "./seeded_random.ts";

/** Runs a command to its end. */
export async function runCaptured(
  args: readonly string[],
  options: CapturedIoOptions,
  signal?: AbortSignal,
): Promise<Finished> {
  return await startCaptured(args, options, signal).finished();
}

/** Runs of commands that must end as the test expects. */
export interface Expecting<Args extends readonly unknown[]> {
  /** Runs a command that must end with 0. */
  succeed(...args: Args): Promise<Finished>;
  /** Runs a command that must end with 0, and returns its stdout. */
  answer(...args: Args): Promise<string>;
  /** Runs a command that must end with this code, and returns all its output. */
  fail(code: number, ...args: Args): Promise<string>;
  /** Runs a command that must end with this code and print nothing on stdout, and returns its stderr. */
  refuse(code: number, ...args: Args): Promise<string>;
}

export function expecting<Args extends readonly unknown[]>(
  run: (...args: Args) => Promise<Finished>,
): Expecting<Args> {
  const expect = async (code: number, args: Args): Promise<Finished> => {
    const done = await run(...args);
    assert.equal(done.code, code, `tlsboot ${JSON.stringify(args)}: ${done.stdout}${done.stderr}`);
    return done;
  };
  return {
    succeed: (...args) => expect(0, args),
    answer: async (...args) => (await expect(0, args)).stdout,
    async fail(code, ...args) {
      const { stdout, stderr } = await expect(code, args);
      return stdout + stderr;
    },
    async refuse(code, ...args) {
      const { stdout, stderr } = await expect(code, args);
      assert.equal(stdout, "", `tlsboot ${JSON.stringify(args)}`);
      return stderr;
    },
  };
}

type Line = readonly [line: string, options?: CapturedIoOptions];

/** Runs command lines, in which a word in quotes may contain spaces. */
export interface Runner extends Expecting<Line> {
  (...line: Line): Promise<Finished>;
}

/** Creates a runner of command lines in a folder. They share one random source, so that no two get the same values. */
export function createRunner(cwd: string, base: CapturedIoOptions = {}): Runner {
  const random = createSeededRandom();
  const run = (...[line, options]: Line) => {
    const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
    return runCaptured(words, { cwd, random, ...base, ...options });
  };
  return Object.assign(run, expecting(run));
}
