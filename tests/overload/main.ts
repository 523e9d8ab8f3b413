/**
 * `deno task overload`: attacks a running `tlsboot up` in every way of `tests/overload/attacks.ts`, one after another
 * and then all once more, while honest clients keep sending requests. It prints a table of the attacks, of memory and
 * of the honest clients' response times. The exit code is 1 when a promise of `tests/overload/verdict.ts` is broken, an
 * attack did not take place, or the server or the honest clients have ended; it is 2 for an invalid command line.
 *
 * With `--binary` the released file is attacked, `--json` writes the numbers to a file, and `--write` the table into
 * docs/engineering/measurements.md.
 * Usage: main.ts [--scale N] [--seconds N] [--rounds N] [--seed N] [--binary] [--json FILE] [--write] [WORDS]
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { getErrorMessage } from "../../core/errors.ts";
import { NODE_FLAGS, start } from "../support/child.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { createTempFolder } from "../support/temp.ts";
import { readMachine } from "../bench/machine.ts";
import { checkOpenFiles, checkProc } from "../bench/processes.ts";
import { releasedFile, sourcesOn } from "../bench/program.ts";
import { ensureNode, YOUNG_GENERATION_FLAG } from "../../scripts/build/node_runtime.ts";
import { createAccount } from "./account.ts";
import type { Attack } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";
import { type OverloadFlags, readFlags, UsageError } from "./flags.ts";
import type { Observation } from "./observation.ts";
import { formatJson, formatReport, type Report, writtenInto } from "./report.ts";
import { type Instance, overload } from "./overload.ts";
import { findFaults } from "./verdict.ts";
import { pause } from "./waiting.ts";

const PAGE = join("docs", "engineering", "measurements.md");
/** Connections of the largest attack at scale 1. */
const CONNECTIONS = 10_000;

/** A time without an attack, with which everything else is compared. */
const CALM: Attack = {
  name: "no attack",
  unit: "",
  least: {},
  run: ({ ms, deadline }) => pause(ms, deadline),
};

async function main(): Promise<number> {
  const flags = readFlags(process.argv.slice(2));
  const { scale, seconds, rounds, seed, binary } = flags;
  const attacks = chosen(flags);
  checkProc();
  checkOpenFiles(CONNECTIONS * scale);
  const node = await ensureNode();
  // The sources get the memory that the released file has.
  const program = binary ? await releasedFile(join(process.cwd(), "dist")) : sourcesOn(node, [YOUNG_GENERATION_FLAG]);
  await using folder = await createTempFolder();
  const data = folder.join("data");
  await using server = program.start(["up", "--auto-approve", "--secure-port", "0", "--data-dir", data]);
  const [, port = ""] = await server.waitFor(/tlsboot is up at https:\S+:(\d+)[^]*Next, in another terminal/);
  const token = /token: "?([a-z0-9.]+)/.exec(await readFile(join(data, "bootstrap.kubeconfig"), "utf8"))?.[1] ?? "";
  const honestArgs = [join("tests", "overload", "honest.ts"), port, join(data, "admin.kubeconfig"), token];
  await using honest = start(node, [...NODE_FLAGS, ...honestArgs]);
  const account = createAccount(() => honest.stdout());
  const { float: random } = createSeededRandom(seed);
  const instance = { server, honest, account, port: Number(port), token, scale, random, ms: seconds * 1000 };

  const seen = await actAll(instance, attacks, rounds);
  const report: Report = {
    machine: readMachine(node),
    settings: `${binary ? "the released file" : "the sources"}, scale ${scale}, ${seconds} s each, seed ${seed}`,
    rounds: seen,
  };
  process.stdout.write(formatReport(report));
  if (flags.json !== undefined) await writeFile(flags.json, formatJson(report));
  if (flags.writes) await writeFile(PAGE, writtenInto(await readFile(PAGE, "utf8"), formatReport(report)));
  const ended = Object.entries({ server, honest }).filter(([, running]) => running.hasEnded());
  const faults = [
    ...findFaults(seen, scale),
    ...ended.map(([name, running]) => `${name} has ended: ${running.stderr().slice(-2_000)}`),
  ];
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  return faults.length === 0 ? 0 : 1;
}

function chosen({ words }: OverloadFlags): readonly Attack[] {
  const found = ATTACKS.filter(({ name }) => words.every((word) => name.includes(word)));
  if (found.length > 0) return found;
  const names = ATTACKS.map(({ name }) => `\n  ${name}`).join("");
  throw new UsageError(`no attack has the words ${words.join(", ")} in its name; there are:${names}`);
}

async function actAll(
  instance: Instance,
  attacks: readonly Attack[],
  rounds: number,
): Promise<readonly (readonly Observation[])[]> {
  const seen: Observation[][] = [];
  for (let round = 1; round <= rounds; round++) {
    const observations: Observation[] = [];
    for (const attack of [CALM, ...attacks]) {
      process.stderr.write(`overload: ${round} of ${rounds}, ${attack.name}\n`);
      observations.push(
        await overload(instance, attack).catch((error: unknown) => {
          if (!instance.server.hasEnded()) throw error;
          throw new Error(`the server has ended during "${attack.name}": ${instance.server.stderr().slice(-2_000)}`);
        }),
      );
    }
    seen.push(observations);
  }
  return seen;
}

main().then((code) => process.exit(code), (error: unknown) => {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`overload: ${error instanceof Error && !isUsage ? error.stack : getErrorMessage(error)}\n`);
  process.exit(isUsage ? 2 : 1);
});
