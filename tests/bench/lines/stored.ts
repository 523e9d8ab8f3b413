/**
 * Measures an instance that is filled with requests: idle memory, creation, memory afterwards, lists, pages and idle
 * connections.
 */
import type { Aim } from "../aims.ts";
import type { Setup } from "../setup.ts";
import { create, list, type ListFacts, page, whileIdle } from "../load.ts";
import type { Usage } from "../processes.ts";
import { LIFTED_PEER, type Line, type Reading, type Readings, type Scenario, type Unit } from "../scenario.ts";
import { type BenchInstance, measureReading, restingMegabytes, usedBy, usedSince } from "../instance.ts";

type Key =
  | "rest"
  | "create"
  | "cpu"
  | "after"
  | "json"
  | "table"
  | "protobuf"
  | "page"
  | "idle";

const CLIENTS = 16;
const LIST_ROUNDS = 5;
const PAGE_LIMIT = 500;

/** Creates a scenario whose lines are measured on one instance, in this order. */
export function storedScenario(setup: Setup, requests: number, connections: number): Scenario<Key> {
  const { aims, where } = setup;
  const line = (what: string, unit: Unit, aim?: Aim): Line => ({
    what: `${what}${where}`,
    unit,
    peer: LIFTED_PEER,
    aim,
  });
  const lines: Readonly<Record<Key, Line>> = {
    rest: line("memory at rest", "MB", aims.rest),
    create: line(`create ${requests} requests, ${CLIENTS} clients`, "/s", aims.create),
    cpu: line("CPU of each of these creations", "ms", aims.cpu),
    after: line(`memory after ${requests} requests`, "MB", aims.after),
    json: line(`list ${requests} as JSON`, "ms", aims.json),
    table: line(`list ${requests} as Table`, "ms", aims.table),
    protobuf: line(`list ${requests} as protobuf`, "ms", aims.protobuf),
    page: line(`list ${requests} in pages of ${PAGE_LIMIT}`, "ms", aims.pages),
    idle: line(`memory with ${connections} idle connections`, "MB"),
  };
  return {
    lines,
    ours: async (program) => readStored(await setup.ours(program), requests, connections),
    theirs: async () => readStored(await setup.theirs(), requests, connections),
  };
}

async function readStored(
  started: BenchInstance,
  requests: number,
  connections: number,
): Promise<Readings<Key>> {
  await using instance = started;
  const kubeconfigs = instance.bootstrapKubeconfigs;
  const readMemory = () => measureReading(instance, async () => ({ value: await restingMegabytes(instance) }));
  const rest = await readMemory();
  const created = await measureReading(instance, async () => {
    const { rate: value, retries } = await create(kubeconfigs, requests, CLIENTS);
    return { value, retries };
  });
  const cpu = { value: (1000 * created.usage.cpuSeconds) / requests };
  const after = await readMemory();
  const listed = await readLists(instance, requests);
  const paged = await measureReading(instance, async () => {
    const facts = await page(kubeconfigs, PAGE_LIMIT);
    if (facts.requests !== requests) throw new Error(`the pages hold ${facts.requests} requests, not ${requests}`);
    return { value: facts.seconds * 1000, retries: facts.retries };
  });
  const idle = await measureReading(instance, async () => {
    const [value, { retries }] = await whileIdle(kubeconfigs, connections, () => restingMegabytes(instance));
    return { value, retries };
  });
  return { rest, create: created, cpu, after, ...listed, page: paged, idle };
}

/** Reads all forms with one program, so the CPU seconds (of one read of each form) and the retries are totals. */
async function readLists(instance: BenchInstance, requests: number): Promise<Readings<keyof ListFacts["forms"]>> {
  const before = usedBy(instance);
  const { forms, requests: listed, retries } = await list(instance.bootstrapKubeconfigs, LIST_ROUNDS);
  if (listed !== requests) throw new Error(`the list holds ${listed} requests, not ${requests}`);
  const { usage, etcd } = usedSince(before, instance);
  const perRound = (used: Usage): Usage => ({ ...used, cpuSeconds: used.cpuSeconds / LIST_ROUNDS });
  const used = { usage: perRound(usage), ...(etcd === undefined ? {} : { etcd: perRound(etcd) }) };
  const toReading = (form: keyof ListFacts["forms"]): Reading => {
    const { p50, bytes } = forms[form];
    return { value: p50 * 1000, bytes, retries, ...used };
  };
  return { json: toReading("json"), table: toReading("table"), protobuf: toReading("protobuf") };
}
