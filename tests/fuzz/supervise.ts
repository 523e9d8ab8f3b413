/** Runs a target in a separate process, so that an input that hangs or kills it is recorded and minimized. */
import { spawn } from "node:child_process";
import { Buffer } from "node:buffer";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import type { WireReport } from "./child.ts";
import type { Finding, Report } from "./fuzzer.ts";
import { readJournal } from "./journal.ts";
import { minimize } from "./minimize.ts";
import type { Bytes } from "./target.ts";

/** The target to run, and the folder for its files. */
export interface Run {
  readonly target: string;
  readonly seed: number;
  readonly seconds: number;
  /** The largest number of inputs to run. */
  readonly inputs: number;
  /** Runs this input alone, for a replay. */
  readonly input?: Bytes;
  readonly folder: string;
}

/** An input that takes longer counts as hanging, even on a busy machine. */
const HANG_MS = 20_000;
/** The most that V8 gives to a target's objects. */
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
  const flags = ["run", "-A", "--no-check", `--v8-flags=--expose-gc,--max-old-space-size=${HEAP_MIB}`];
  const child = spawn(process.execPath, [
    ...flags,
    CHILD,
    target,
    journal,
    `${seed}`,
    `${seconds}`,
    `${inputs}`,
    ...(input === undefined ? [] : [file]),
  ], { stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
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
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  clearInterval(watch);
  await rm(file, { force: true });
  const last = readJournal(journal);
  if (code === 0 && !hung) return fromWire(JSON.parse(Buffer.concat(output).toString()) as WireReport);
  const finding: Finding = {
    kind: hung ? "hang" : "crash",
    message: hung ? `no end after ${HANG_MS / 1000} s` : `${Buffer.concat(errors).toString().slice(-2000)}`,
    input: last?.input ?? new Uint8Array(0),
  };
  return { inputs: last?.count ?? 0, seconds: 0, slowestMs: 0, slowestBytes: 0, finding };
}

function fromWire({ finding, ...report }: WireReport): Report {
  if (finding === undefined) return { ...report, finding };
  const kind = finding.kind as Finding["kind"];
  return {
    ...report,
    finding: { kind, message: finding.message, input: new Uint8Array(Buffer.from(finding.hex, "hex")) },
  };
}
