/** A site that fills with requests: memory at rest, creating, memory after, listing, paging, idle connections. */
import { create, list, type ListFacts, page, whileIdle } from "../load.ts";
import { startOurSite } from "../our_site.ts";
import { LIFTED, startPeerSite } from "../peer_site.ts";
import { usageOf } from "../processes.ts";
import {
  type Aim,
  always,
  atLeast,
  atMost,
  atMostTimes,
  type Line,
  type Reading,
  type Readings,
  type Scenario,
  type Unit,
} from "../scenario.ts";
import { readingOf, restingMegabytes, since, type Site } from "../site.ts";

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

/** How much of it. */
export interface StoredOptions {
  readonly requests: number;
  readonly connections: number;
}

/** All lines come from one site, in the order in which they stand here. */
export function storedScenario({ requests, connections }: StoredOptions): Scenario<Key> {
  const line = (what: string, unit: Unit, aim?: Aim): Line => ({
    what,
    unit,
    peer: "control plane, limits lifted",
    aimOf: always(aim),
  });
  const lines: Readonly<Record<Key, Line>> = {
    rest: line("memory at rest", "MB", atMost(90, "90 MB")),
    create: line(`create ${requests} requests, ${CLIENTS} clients`, "/s", atLeast(2000, "2000 /s")),
    after: line(`memory after ${requests} requests`, "MB", atMost(200, "200 MB")),
    json: line(`list ${requests} as JSON`, "ms", atMostTimes(0.25, "a quarter")),
    table: line(`list ${requests} as Table`, "ms", atMostTimes(0.5, "a half")),
    protobuf: line(`list ${requests} as protobuf`, "ms"),
    page: line(`list ${requests} in pages of ${PAGE_LIMIT}`, "ms"),
    idle: line(`memory with ${connections} idle connections`, "MB"),
  };
  return {
    lines,
    ours: (program) => readStored(() => startOurSite(program), requests, connections),
    theirs: () => readStored(() => startPeerSite(LIFTED), requests, connections),
  };
}

async function readStored(
  startSite: () => Promise<Site>,
  requests: number,
  connections: number,
): Promise<Readings<Key>> {
  await using site = await startSite();
  const kubeconfig = site.bootstrapKubeconfig;
  const rest = await readingOf(site, () => restingMegabytes(site));
  const created = await readingOf(site, async () => (await create(kubeconfig, requests, CLIENTS)).rate);
  const after = await readingOf(site, () => restingMegabytes(site));
  const listed = await readLists(site, requests);
  const paged = await readingOf(site, async () => {
    const facts = await page(kubeconfig, PAGE_LIMIT);
    if (facts.requests !== requests) throw new Error(`the pages hold ${facts.requests} requests, not ${requests}`);
    return facts.seconds * 1000;
  });
  const idle = await readingOf(site, () => whileIdle(kubeconfig, connections, () => restingMegabytes(site)));
  return { rest, create: created, after, ...listed, page: paged, idle };
}

/** One program reads all forms over one connection, so that their CPU seconds stand together: those of one read of each. */
async function readLists(site: Site, requests: number): Promise<Readings<keyof ListFacts["forms"]>> {
  const before = usageOf(site.pids);
  const { forms, requests: listed } = await list(site.bootstrapKubeconfig, LIST_ROUNDS);
  if (listed !== requests) throw new Error(`the list holds ${listed} requests, not ${requests}`);
  const whole = since(before, usageOf(site.pids));
  const usage = { ...whole, cpuSeconds: whole.cpuSeconds / LIST_ROUNDS };
  const readingOfForm = (form: keyof ListFacts["forms"]): Reading => {
    const { p50, bytes } = forms[form];
    return { value: p50 * 1000, bytes, usage };
  };
  return { json: readingOfForm("json"), table: readingOfForm("table"), protobuf: readingOfForm("protobuf") };
}
