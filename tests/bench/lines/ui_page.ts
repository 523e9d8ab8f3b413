/** Measures the first page of a long list of requests in `tlsboot ui`, compared with the API's list. */
import { findLink, openLink } from "../../support/ui_client.ts";
import { AIMS } from "../aims.ts";
import { create } from "../load.ts";
import type { BenchInstance } from "../instance.ts";
import { startOurInstance } from "../our_instance.ts";
import type { Program } from "../program.ts";
import type { Readings, Scenario } from "../scenario.ts";
import { findMedian } from "../stats.ts";
import { openTransport, readPage } from "./records.ts";

const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLIENTS = 16;
const ROUNDS = 5;

/** Creates the scenario. The peer is a client that reads the whole list as JSON from the same server. */
export function uiPageScenario(requests: number): Scenario<"first" | "again"> {
  const peer = "list by the API";
  return {
    lines: {
      first: {
        what: `first page of ${requests} requests in ui, once`,
        unit: "ms",
        peer,
        aim: AIMS.uiOnce,
      },
      again: {
        what: `first page of ${requests} requests in ui, again`,
        unit: "ms",
        peer,
        aim: AIMS.uiAgain,
      },
    },
    ours: (program) => readUi(program, requests),
    theirs: (program) => readApi(program, requests),
  };
}

async function startFull(program: Program, requests: number): Promise<BenchInstance> {
  await using stack = new AsyncDisposableStack();
  const instance = stack.use(await startOurInstance(program));
  await create(instance.bootstrapKubeconfigs, requests, CLIENTS);
  stack.move();
  return instance;
}

/** Reads the page. The first answer waits until the page has read all requests; later answers have them in memory. */
async function readUi(program: Program, requests: number): Promise<Readings<"first" | "again">> {
  await using instance = await startFull(program, requests);
  await using running = program.start(["ui", "--kubeconfig", instance.adminKubeconfigs[0]!]);
  const client = await openLink(await findLink(running));
  return await readTimes(async () => {
    const startedMs = performance.now();
    const { body } = await client.send("/requests", 200);
    const ms = performance.now() - startedMs;
    if (!body.includes(`${requests} requests`)) throw new Error(`the page does not hold ${requests} requests: ${body}`);
    return { ms, bytes: body.length };
  });
}

async function readApi(program: Program, requests: number): Promise<Readings<"first" | "again">> {
  await using instance = await startFull(program, requests);
  await using transport = await openTransport(instance);
  return await readTimes(async () => {
    const page = await readPage(transport, PATH);
    if (page.count !== requests) throw new Error(`the list holds ${page.count} requests, not ${requests}`);
    return page;
  });
}

async function readTimes(
  read: () => Promise<{ readonly ms: number; readonly bytes: number }>,
): Promise<Readings<"first" | "again">> {
  const first = await read();
  const again: number[] = [];
  while (again.length < ROUNDS) again.push((await read()).ms);
  return { first: { value: first.ms, bytes: first.bytes }, again: { value: findMedian(again), bytes: first.bytes } };
}
