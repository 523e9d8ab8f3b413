/**
 * `deno task fuzz`: runs every decoder of untrusted bytes on real inputs and on mutated ones, and checks its results,
 * bounded memory and, in a run limited by `--seconds`, linear time. The same seed produces the same inputs. With
 * `--inputs` alone, each target runs this many mutated inputs, so that a run is the same on fast and slow machines.
 *
 * Usage: main.ts [--seconds N] [--inputs N] [--seed S] [--target NAME] [--replay FILE|HEX]
 */
import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createHash } from "node:crypto";
import { parseFlags, runMain, UsageError, wholeNumber } from "../support/command_line.ts";
import type { Finding, Report } from "./fuzzer.ts";
import { supervise } from "./supervise.ts";
import type { Bytes } from "./target.ts";
import { TARGETS } from "./targets.ts";

/** The number of seconds of a run without limits, shared by all targets. */
const SECONDS = "60";
/** The seed, unless a full run sets another. */
const SEED = process.env["TLSBOOT_TEST_SEED"] ?? "20261125";
/** Longer inputs are kept in a file instead of being printed. */
const SHOWN_BYTES = 400;

async function main(): Promise<number> {
  const { values } = parseFlags({
    options: {
      seconds: { type: "string" },
      inputs: { type: "string" },
      seed: { type: "string", default: SEED },
      target: { type: "string", multiple: true, default: [] },
      replay: { type: "string" },
    },
  });
  const names = values.target.length === 0 ? Object.keys(TARGETS) : values.target;
  const unknown = names.find((name) => TARGETS[name] === undefined);
  if (unknown !== undefined) {
    throw new UsageError(`no target "${unknown}"; there are: ${Object.keys(TARGETS).join(", ")}`);
  }
  const seed = wholeNumber("seed", values.seed);
  const inputs = values.inputs === undefined ? Infinity : wholeNumber("inputs", values.inputs);
  const total = values.seconds ?? (values.inputs === undefined ? SECONDS : undefined);
  const seconds = total === undefined ? undefined : wholeNumber("seconds", total) / names.length;
  if (values.replay !== undefined && names.length !== 1) throw new UsageError("--replay needs one --target");
  const input = values.replay === undefined ? {} : { input: readInput(values.replay) };
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-fuzz-"));
  let findings = 0;
  try {
    for (const target of names) {
      const report = await supervise({ target, seed, seconds, inputs, folder, ...input });
      process.stdout.write(`${formatLine(target, report)}\n`);
      if (report.finding === undefined) continue;
      findings++;
      process.stdout.write(`${await describe(target, seed, report.finding)}\n`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  process.stdout.write(findings === 0 ? "no findings\n" : `${findings} findings\n`);
  return findings === 0 ? 0 : 1;
}

function readInput(replay: string): Bytes {
  if (existsSync(replay)) return new Uint8Array(readFileSync(replay));
  if (/^(?:[0-9a-f]{2})*$/i.test(replay)) return new Uint8Array(Buffer.from(replay, "hex"));
  throw new UsageError(`--replay is neither a file nor hexadecimal: ${JSON.stringify(replay.slice(0, 80))}`);
}

function formatLine(target: string, { inputs, seconds, slowestMs, slowestBytes }: Report): string {
  const rate = seconds === 0 ? 0 : Math.round(inputs / seconds);
  const slowest = `slowest ${slowestMs.toFixed(1)} ms (${slowestBytes} bytes)`;
  return `${target.padEnd(16)} ${`${inputs}`.padStart(9)} inputs ${`${rate}`.padStart(7)}/s  ${slowest}`;
}

/** Describes a finding and the command that reproduces it. A long input stays in a file. */
async function describe(target: string, seed: number, { kind, message, input }: Finding): Promise<string> {
  const hex = Buffer.from(input).toString("hex");
  let replay = hex;
  if (input.length > SHOWN_BYTES) {
    const name = createHash("sha256").update(input).digest("hex").slice(0, 12);
    replay = join(tmpdir(), `tlsboot-fuzz-${target}-${name}`);
    await writeFile(replay, input, { mode: 0o600 });
  }
  return [
    `  finding: ${kind} in ${target}, seed ${seed}`,
    ...message.split("\n").slice(0, 8).map((line) => `    ${line}`),
    `  input: ${input.length} bytes ${JSON.stringify(Buffer.from(input.subarray(0, 200)).toString("latin1"))}`,
    `  replay: deno task fuzz --target ${target} --replay ${replay}`,
  ].join("\n");
}

runMain("fuzz", main);
