/** Runs a target in a separate process, so that an input that hangs or kills it is recorded and minimized. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { start } from "../support/child.ts";
import type { WireReport } from "./child.ts";
import type { Report } from "./fuzzer.ts";
import { readJournal } from "./journal.ts";
import { minimize } from "./mutate.ts";
import type { Bytes } from "./target.ts";

/** The target to run, and the folder for its files. */
export interface Run {
  readonly target: string;
  readonly seed: number;
  /** The duration of the run; undefined if only `inputs` ends it, and then no time is measured. */
  readonly seconds: number | undefined;
  /** The largest number of inputs to run in addition to the seeds. */
  readonly inputs: number;
  /** The only input to run, for a replay. */
  readonly input?: Bytes;
  readonly folder: string;
}

/** An input that takes longer counts as hanging. This includes the time in which a child loads its target. */
const HANG_MS = 120_000;
/** The heap limit of a target's process, in MiB. */
const HEAP_MIB = 1024;
const POLL_MS = 250;
/** The program of the child, relative to the checkout, where tasks run. */
const CHILD = "tests/fuzz/child.ts";
const MINIMIZE_MS = 120_000;

/** Runs a target to its end. */
export async function supervise(run: Run): Promise<Report> {
  const report = await runChild(run);
  const { finding } = report;
  if (finding === undefined || (finding.kind !== "hang" && finding.kind !== "crash") || run.input !== undefined) {
    return report;
  }
  const until = performance.now() + MINIMIZE_MS;
  const input = await minimize(finding.input, async (smaller) => {
    const again = await runChild({ ...run, input: smaller });
    return again.finding?.kind === finding.kind;
  }, () => performance.now() > until);
  return { ...report, finding: { ...finding, input } };
}

async function runChild({ target, seed, seconds, inputs, input, folder }: Run): Promise<Report> {
  const journal = join(folder, `${target}.journal`);
  const file = join(folder, `${target}.input`);
  if (input !== undefined) await writeFile(file, input);
  await writeFile(journal, "");
  await using child = start(process.execPath, [
    ...["run", "-A", "--no-check", `--v8-flags=--expose-gc,--max-old-space-size=${HEAP_MIB}`],
    ...[CHILD, target, journal, `${seed}`, `${seconds ?? ""}`, `${inputs}`, ...input === undefined ? [] : [file]],
  ]);
  let hung = false;
  let seen = { count: -1, at: performance.now() };
  const watch = setInterval(() => {
    const count = readJournal(journal)?.count ?? -1;
    const now = performance.now();
    if (count !== seen.count) seen = { count, at: now };
    else if (now - seen.at > HANG_MS) {
      hung = true;
      child.kill("SIGKILL");
    }
  }, POLL_MS);
  const { code, stdout, stderr } = await child.finished();
  clearInterval(watch);
  await rm(file, { force: true });
  const last = readJournal(journal) ?? { count: 0, input: new Uint8Array(0) };
  if (code === 0 && !hung) {
    const { finding, ...report } = JSON.parse(stdout) as WireReport;
    return { ...report, finding: finding && { ...finding, input: last.input } };
  }
  const [kind, message] = hung
    ? ["hang", `no end after ${HANG_MS / 1000} s`] as const
    : ["crash", stderr.slice(-2000)] as const;
  return {
    inputs: last.count,
    seconds: 0,
    slowestMs: 0,
    slowestBytes: 0,
    finding: { kind, message, input: last.input },
  };
}
