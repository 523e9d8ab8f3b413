/** Tables of kubectl commands with the expected output of each; the same table fits any server. */
import assert from "node:assert/strict";
import type { Finished } from "../child.ts";
import type { Kubectl } from "./kubectl.ts";

/** One command. A text must be equal, a pattern must match; what is not given must be empty on stderr. */
export interface Step {
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The expected exit code; 0 by default. */
  readonly code?: number;
  readonly stdout?: string | RegExp;
  readonly stderr?: string | RegExp;
}

/** Runs the steps in order, to the end, and fails with every one that differs. */
export async function runSteps(kubectl: Kubectl, steps: readonly Step[]): Promise<void> {
  const faults: string[] = [];
  for (const step of steps) {
    const { args, stdin, env } = step;
    const finished = await kubectl.given({
      ...(stdin === undefined ? {} : { stdin }),
      ...(env === undefined ? {} : { env }),
    }).try(...args);
    faults.push(...compare(finished, step).map((fault) => `kubectl ${args.join(" ")}\n  ${fault}`));
  }
  assert.equal(faults.length, 0, `${faults.length} answers differ\n${faults.join("\n")}`);
}

function compare({ code, stdout, stderr }: Finished, wanted: Step): readonly string[] {
  return [
    ...(code === (wanted.code ?? 0) ? [] : [`exit code is ${code}`]),
    ...(wanted.stdout === undefined || fits(stdout, wanted.stdout) ? [] : [differs("stdout", stdout, wanted.stdout)]),
    ...(fits(stderr, wanted.stderr ?? "") ? [] : [differs("stderr", stderr, wanted.stderr ?? "")]),
  ];
}

function fits(actual: string, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? actual === wanted : wanted.test(actual);
}

function differs(stream: string, actual: string, wanted: string | RegExp): string {
  return `${stream} is ${JSON.stringify(actual)}, wanted ${
    typeof wanted === "string" ? JSON.stringify(wanted) : wanted
  }`;
}
