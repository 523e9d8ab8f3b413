/**
 * `deno task overload`: runs the attacks of `attacks.ts` on a running `tlsboot up`, one after another, while honest
 * clients keep sending requests. It prints a table of the attacks, of memory and of the honest clients' response times.
 * The exit code is 1 if a promise of `verdict.ts` is broken, an attack did not take place, or the server or the honest
 * clients have ended, and 2 for an invalid command line.
 *
 * With `--binary` the released file is attacked, and `--write` writes the table into docs/engineering/measurements.md.
 * With WORDS, only attacks whose names contain all of them run.
 * Usage: main.ts [--scale N] [--seconds N] [--binary] [--write] [WORDS]
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { NODE_FLAGS, start } from "../support/child.ts";
import { parseFlags, positiveNumber, runMain, UsageError } from "../support/command_line.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { connectWith } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";
import { type ApiClient, listAll } from "../../client/objects/api.ts";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import { clusterRoleBindingKind, eventV1Kind, secretKind } from "../../core/kube/kinds/mod.ts";
import { formatCollectionPath } from "../../core/kube/schema.ts";
import { AUTO_APPROVE_BINDING } from "../../instance/instance_rbac.ts";
import { readMachine } from "../bench/machine.ts";
import { checkOpenFiles } from "../bench/processes.ts";
import { releasedProgram, sourceProgram } from "../bench/program.ts";
import { ensureNode, YOUNG_GENERATION_FLAG } from "../../scripts/build/node_runtime.ts";
import type { Attack } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";
import { createAnswerReader, type Observation, type StoredCounts } from "./observation.ts";
import { createMachines } from "./proofs.ts";
import { formatReport, replaceTable, type Report } from "./report.ts";
import { type Instance, overload } from "./overload.ts";
import { findFaults, findGrowth } from "./verdict.ts";
import { pause } from "./waiting.ts";

const PAGE = join("docs", "engineering", "measurements.md");
/** The connections of the largest attack at scale 1. */
const MAX_CONNECTIONS = 10_000;

/**
 * The attacks run twice, and more often while memory grows: a leak grows each time, but a heap that V8 collects late,
 * as on a quiet machine, grows only once.
 */
const [ROUNDS, MAX_ROUNDS] = [2, 5];

/** A period without an attack, which is the baseline. */
const CALM: Attack = {
  name: "no attack",
  unit: "",
  required: {},
  run: ({ ms, deadline }) => pause(ms, deadline),
};

async function main(): Promise<number> {
  const { values, positionals: words } = parseFlags({
    options: {
      scale: { type: "string", default: "1" },
      seconds: { type: "string", default: "10" },
      binary: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const { binary, write } = values;
  const scale = positiveNumber("scale", values.scale, 1);
  const seconds = positiveNumber("seconds", values.seconds, 250);
  if (write && words.length > 0) throw new UsageError("--write requires all attacks: run it without words");
  const attacks = chooseAttacks(words);
  checkOpenFiles(MAX_CONNECTIONS * scale);
  const node = await ensureNode();
  // The sources get the same memory setting as the released file.
  const program = binary
    ? await releasedProgram(join(process.cwd(), "dist"))
    : sourceProgram(node, [YOUNG_GENERATION_FLAG]);
  await using folder = await createTempFolder();
  const data = folder.join("data");
  const hostKeys = folder.join("machines");
  const inventory = await createMachines(hostKeys);
  await using server = program.start(["up", "--inventory", inventory, "--secure-port", "0", "--data-dir", data]);
  const [, port = ""] = await server.waitFor(/tlsboot is up at https:\S+:(\d+)[^]*Next, in another terminal/);
  const kubeconfig = join(data, "admin.kubeconfig");
  await using admin = await connectWith(kubeconfig);
  // With --auto-approve, only machines in the inventory would be approved.
  await approveNodes(admin.api);
  const token = (await program.run(["token", "create", "--data-dir", data])).stdout.trim();
  const honestArgs = [join("tests", "overload", "honest.ts"), port, kubeconfig, token, hostKeys];
  await using honest = start(node, [...NODE_FLAGS, ...honestArgs]);
  const reader = createAnswerReader(() => honest.stdout());
  const { float: random } = createSeededRandom();
  const count = () => countStored(admin.api);
  const instance = { server, honest, reader, port: Number(port), token, scale, random, ms: seconds * 1000, count };

  const seen = await runAttacks(instance, attacks);
  const report: Report = {
    machine: readMachine(node),
    settings: `${binary ? "the released file" : "the sources"}, scale ${scale}, ${seconds} s each`,
    rounds: seen,
  };
  process.stdout.write(formatReport(report));
  if (write) await writeFile(PAGE, replaceTable(await readFile(PAGE, "utf8"), formatReport(report)));
  const ended = Object.entries({ server, honest }).filter(([, running]) => running.hasEnded());
  const faults = [
    ...findFaults(seen, scale),
    ...ended.map(([name, running]) => `${name} has ended: ${running.stderr().slice(-2_000)}`),
  ];
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  return faults.length === 0 ? 0 : 1;
}

/** Makes the server approve the requests of nodes with any bootstrap token. */
async function approveNodes(api: ApiClient): Promise<void> {
  const path = formatCollectionPath(clusterRoleBindingKind);
  await api.requestJson({ method: "POST", path, body: AUTO_APPROVE_BINDING }, new AbortController().signal);
}

async function countStored(api: ApiClient): Promise<StoredCounts> {
  const { signal } = new AbortController();
  const secrets = await listAll(api, formatCollectionPath(secretKind), {}, signal);
  const events = await listAll<EventV1>(api, formatCollectionPath(eventV1Kind), {}, signal);
  const refusals = events.items.filter(({ reason }) => reason === "NodeAttestationRefused");
  return { secrets: secrets.items.length, refusals: refusals.length };
}

function chooseAttacks(words: readonly string[]): readonly Attack[] {
  const attacks = ATTACKS.filter(({ name }) => words.every((word) => name.includes(word)));
  if (attacks.length > 0) return attacks;
  const names = ATTACKS.map(({ name }) => `\n  ${name}`).join("");
  throw new UsageError(`no attack has the words ${words.join(", ")} in its name; choose from:${names}`);
}

async function runAttacks(
  instance: Instance,
  attacks: readonly Attack[],
): Promise<readonly (readonly Observation[])[]> {
  const seen: Observation[][] = [];
  for (let round = 1; round <= ROUNDS || (round <= MAX_ROUNDS && findGrowth(seen) !== undefined); round++) {
    const observations: Observation[] = [];
    for (const attack of [CALM, ...attacks]) {
      process.stderr.write(`overload: round ${round}, ${attack.name}\n`);
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

runMain("overload", main);
