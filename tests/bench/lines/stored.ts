/** An instance that fills with requests: memory at rest, creating, memory after, listing, paging, idle connections. */
import type { Grounds } from "../grounds.ts";
import { create, list, type ListFacts, page, whileIdle } from "../load.ts";
import { LIFTED } from "../peer_instance.ts";
import type { Usage } from "../processes.ts";
import {
  type Aim,
  atLeastTimes,
  atMost,
  atMostTimes,
  type Line,
  type Reading,
  type Readings,
  type Scenario,
  type Unit,
} from "../scenario.ts";
import { type BenchInstance, measureReading, restingMegabytes, usedBy, usedSince } from "../instance.ts";

type Key =
  | "rest"
  | "create"
  | "after"
  | "json"
  | "table"
  | "protobuf"
  | "page"
  | "idle";

const CLIENTS = 16;
const LIST_ROUNDS = 5;
const PAGE_LIMIT = 500;

export interface StoredOptions {
  readonly grounds: Grounds;
  readonly requests: number;
  readonly connections: number;
}

/** Creates a scenario whose lines come from one instance, in this order. */
export function storedScenario({ grounds, requests, connections }: StoredOptions): Scenario<Key> {
  const line = (what: string, unit: Unit, aim?: Aim): Line => ({
    what,
    unit,
    peer: "control plane, limits lifted",
    aim: aim,
  });
  const { aims } = grounds;
  const protobuf = aims.protobuf === undefined ? undefined : atMostTimes(aims.protobuf);
  const lines: Readonly<Record<Key, Line>> = {
    rest: line("memory at rest", "MB", atMost(85, "85 MB")),
    create: line(`create ${requests} requests, ${CLIENTS} clients`, "/s", atLeastTimes(aims.create)),
    after: line(`memory after ${requests} requests`, "MB", atMost(200, "200 MB")),
    json: line(`list ${requests} as JSON`, "ms", atMostTimes(aims.json)),
    table: line(`list ${requests} as Table`, "ms", atMostTimes(aims.table)),
    protobuf: line(`list ${requests} as protobuf`, "ms", protobuf),
    page: line(`list ${requests} in pages of ${PAGE_LIMIT}`, "ms", atMostTimes(aims.pages)),
    idle: line(`memory with ${connections} idle connections`, "MB"),
  };
  return {
    lines,
    ours: (program) => readStored(() => grounds.ours(program), requests, connections),
    theirs: () => readStored(() => grounds.theirs(LIFTED), requests, connections),
  };
}

async function readStored(
  startInstance: () => Promise<BenchInstance>,
  requests: number,
  connections: number,
): Promise<Readings<Key>> {
  await using instance = await startInstance();
  const kubeconfigs = instance.bootstrapKubeconfigs;
  const readMemory = () => measureReading(instance, async () => ({ value: await restingMegabytes(instance) }));
  const rest = await readMemory();
  const created = await measureReading(instance, async () => {
    const { rate: value, retries } = await create(kubeconfigs, requests, CLIENTS);
    return { value, retries };
  });
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
  return { rest, create: created, after, ...listed, page: paged, idle };
}

/** One program reads all forms, so that their CPU seconds and lost answers stand together: CPU of one read of each. */
async function readLists(instance: BenchInstance, requests: number): Promise<Readings<keyof ListFacts["forms"]>> {
  const before = usedBy(instance);
  const { forms, requests: listed, retries } = await list(instance.bootstrapKubeconfigs, LIST_ROUNDS);
  if (listed !== requests) throw new Error(`the list holds ${listed} requests, not ${requests}`);
  const { usage, etcd } = usedSince(before, instance);
  const perRound = (used: Usage): Usage => ({ ...used, cpuSeconds: used.cpuSeconds / LIST_ROUNDS });
  const used = { usage: perRound(usage), ...(etcd === undefined ? {} : { etcd: perRound(etcd) }) };
  const readingOfForm = (form: keyof ListFacts["forms"]): Reading => {
    const { p50, bytes } = forms[form];
    return { value: p50 * 1000, bytes, retries, ...used };
  };
  return { json: readingOfForm("json"), table: readingOfForm("table"), protobuf: readingOfForm("protobuf") };
}
