/** The process that fuzzes one target, and prints a report as JSON: child.ts TARGET JOURNAL SEED SECONDS INPUTS [FILE]. */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import process from "node:process";
import { fuzz, type Report, runInput } from "./fuzzer.ts";
import { openJournal } from "./journal.ts";
import type { Bytes, Target } from "./target.ts";
import { TARGETS } from "./targets.ts";

/** A report on its way to the parent. */
export type WireReport = Omit<Report, "finding"> & {
  readonly finding: { readonly kind: string; readonly message: string; readonly hex: string } | undefined;
};

async function main(
  [name = "", journalPath = "", seed = "", seconds = "", inputs = "", file]: readonly string[],
): Promise<void> {
  const open = TARGETS[name];
  if (open === undefined) throw new Error(`no target "${name}"`);
  const target = await open();
  using journal = openJournal(journalPath);
  const write = (count: number, input: Bytes) => journal.write(count, input);
  const report = file === undefined
    ? await fuzz(target, { seed: Number(seed), seconds: Number(seconds), inputs: Number(inputs), onInput: write })
    : await runOnce(target, new Uint8Array(readFileSync(file)), write);
  await target.close?.();
  const { finding } = report;
  const wire: WireReport = {
    ...report,
    finding: finding && { ...finding, hex: Buffer.from(finding.input).toString("hex") },
  };
  process.stdout.write(JSON.stringify(wire));
}

async function runOnce(target: Target, input: Bytes, onInput: (count: number, input: Bytes) => void): Promise<Report> {
  onInput(0, input);
  const { ms, finding } = await runInput(target, input);
  return { inputs: 1, seconds: ms / 1000, slowestMs: ms, slowestBytes: input.length, finding };
}

// A server may keep the process alive for something that is of no use any more.
main(process.argv.slice(2)).then(() => process.exit(0), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
