/**
 * The process that fuzzes one target and prints a report as JSON: child.ts TARGET JOURNAL SEED SECONDS INPUTS [FILE].
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { runMain } from "../support/command_line.ts";
import { type Finding, fuzz, type Report, runInput } from "./fuzzer.ts";
import { openJournal } from "./journal.ts";
import type { Bytes, Target } from "./target.ts";
import { TARGETS } from "./targets.ts";

/** A report for the parent; the input of a finding is the last one in the journal. */
export type WireReport = Omit<Report, "finding"> & { readonly finding: Omit<Finding, "input"> | undefined };

async function main(): Promise<number> {
  const [name = "", journalPath = "", seed = "", seconds = "", inputs = "", file] = process.argv.slice(2);
  const open = TARGETS[name];
  if (open === undefined) throw new Error(`no target "${name}"`);
  const target = await open();
  using journal = openJournal(journalPath);
  const onInput = (count: number, input: Bytes) => journal.write(count, input);
  const limits = { seconds: seconds === "" ? undefined : Number(seconds), inputs: Number(inputs) };
  const report = file === undefined
    ? await fuzz(target, { seed: Number(seed), ...limits, onInput })
    : await runOnce(target, new Uint8Array(readFileSync(file)), onInput);
  await target.close?.();
  const { finding, ...rest } = report;
  if (finding !== undefined) onInput(report.inputs, finding.input);
  const wire: WireReport = { ...rest, finding: finding && { kind: finding.kind, message: finding.message } };
  process.stdout.write(JSON.stringify(wire));
  return 0;
}

async function runOnce(target: Target, input: Bytes, onInput: (count: number, input: Bytes) => void): Promise<Report> {
  onInput(0, input);
  const { ms, finding } = await runInput(target, input);
  return { inputs: 1, seconds: ms / 1000, slowestMs: ms, slowestBytes: input.length, finding };
}

// This also exits if a server keeps the process alive.
runMain("fuzz", main);
