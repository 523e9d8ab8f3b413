/**
 * Measures what a start of the file costs beside its own Node, in processor time, because wall-clock time depends on
 * other processes. The bounds are loose, for machines that do other work too; `deno task bench` has the aims.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { runProgram } from "../support/child.ts";
import { startInstance } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";
import { hostFile } from "../support/binary/released.ts";

const RUNS = 15;
/** Larger than the measured values in docs/engineering/measurements.md, 1.3 and 3.1. */
const [VERSION_TIMES, GET_CSR_TIMES] = [2.5, 6];

/** Makes bash print the user and system seconds. */
const TIMED = 'TIMEFORMAT="%3U %3S"; time "$@" >/dev/null 2>&1';

let node: string;

before(async () => {
  node = await ensureNode();
});

async function measureSeconds(command: readonly string[]): Promise<number> {
  const { code, stderr } = await runProgram("bash", ["-c", TIMED, "bash", ...command]);
  assert.equal(code, 0, command.join(" "));
  const [user, system] = stderr.trim().split(" ").map(Number) as [number, number];
  return user + system;
}

/** Measures how many times the time of `node -e 0` a command takes: medians of alternating runs. */
async function timesOfNode(command: readonly string[]): Promise<number> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run++) {
    theirs.push(await measureSeconds([node, "-e", "0"]));
    ours.push(await measureSeconds(command));
  }
  return findMedian(ours) / findMedian(theirs);
}

function findMedian(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!;
}

test(`tlsboot version takes less than ${VERSION_TIMES} times as long as node -e 0`, async () => {
  const times = await timesOfNode([hostFile(), "version"]);
  assert.ok(times < VERSION_TIMES, `it takes ${times.toFixed(2)} times as much`);
});

test(`tlsboot get csr takes less than ${GET_CSR_TIMES} times as long as node -e 0`, async () => {
  await using folder = await createTempFolder();
  await using instance = await startInstance(folder);
  const times = await timesOfNode([hostFile(), "get", "csr", "--data-dir", instance.data]);
  assert.ok(times < GET_CSR_TIMES, `it takes ${times.toFixed(2)} times as much`);
});
