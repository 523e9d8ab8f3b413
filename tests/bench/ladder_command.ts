/** `deno task bench ladder`: the CPU cost of one creation, as layers are added to a server one after another. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { YOUNG_GENERATION_FLAG } from "../../scripts/build/node_runtime.ts";
import { createTempFolder } from "../support/temp.ts";
import type { Bench } from "./bench.ts";
import { formatLadder, LADDER_HEAD, type Layer, LAYERS, type RungCost } from "./ladder.ts";
import { create } from "./load.ts";
import { runRounds } from "./measure.ts";
import { startOurInstance } from "./our_instance.ts";
import { readShares, sharesSince } from "./processes.ts";
import { sourceProgram } from "./program.ts";
import type { Section } from "./section.ts";

/** The counts at scale 1. The first requests warm up the code and are not measured. */
const [WARM_UP, REQUESTS] = [3_000, 10_000];
const CLIENTS = 16;

interface Rung extends AsyncDisposable {
  readonly pid: number;
  readonly kubeconfigs: readonly string[];
}

export async function runLadder({ options: { rounds, scale }, node, progress, machine }: Bench): Promise<Section> {
  const program = sourceProgram(node, [YOUNG_GENERATION_FLAG]);
  await using folder = await createTempFolder();
  const prepared = folder.join("prepared");
  {
    await using first = await startOurInstance(program);
    await first.stop();
    await cp(first.data, prepared, { recursive: true });
  }
  const toCount = (count: number): number => Math.max(1, Math.round(count * scale));
  const rungs = LAYERS.map((layer) => ({
    name: layer,
    run: async (): Promise<RungCost> => {
      await using rung = await startRung(node, layer, prepared);
      await create(rung.kubeconfigs, toCount(WARM_UP), CLIENTS);
      const [requests, before] = [toCount(REQUESTS), readShares(rung.pid)];
      await create(rung.kubeconfigs, requests, CLIENTS);
      return { requests, shares: sharesSince(before, readShares(rung.pid)) };
    },
  }));
  const measured = await runRounds(rungs, rounds, progress);
  return {
    command: "ladder",
    title: "The cost of a creation by layer",
    machine: machine(),
    settings: `Microseconds of CPU for one of ${toCount(REQUESTS)} creations by ${CLIENTS} clients with protobuf, ` +
      "from the sources. A rung includes the layers above it in the table. The server and what a layer adds are " +
      "medians. The threads, the clients and the rest of the machine are means, and add up to the time of all cores.",
    head: LADDER_HEAD,
    rows: formatLadder(measured),
    pictures: [],
    data: LAYERS.map((layer, index) => ({ layer, rounds: measured[index] })),
  };
}

/** Starts a server on a copy of the data directory. The highest rung is `tlsboot up` itself. */
async function startRung(node: string, layer: Layer, prepared: string): Promise<Rung> {
  const copy = (data: string): Promise<void> => cp(prepared, data, { recursive: true });
  if (layer === "controllers") {
    const instance = await startOurInstance(sourceProgram(node, [YOUNG_GENERATION_FLAG]), [], copy);
    return { ...instance, pid: instance.pids[0]!, kubeconfigs: instance.bootstrapKubeconfigs };
  }
  await using stack = new AsyncDisposableStack();
  const data = stack.use(await createTempFolder()).join("data");
  await copy(data);
  const program = sourceProgram(node, [YOUNG_GENERATION_FLAG], "tests/bench/programs/rung.ts");
  const running = stack.use(program.start([layer, data]));
  const [, port] = await running.waitFor(/serving on port (\d+)/);
  const kubeconfig = `${data}/bootstrap.kubeconfig`;
  const text = await readFile(kubeconfig, "utf8");
  await writeFile(kubeconfig, text.replace(/https:\/\/[^\s"]+/, `https://127.0.0.1:${port}`));
  const owned = stack.move();
  return { pid: running.pid, kubeconfigs: [kubeconfig], [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
