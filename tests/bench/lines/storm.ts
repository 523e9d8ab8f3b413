/** Measures nodes that bootstrap at the same instant. */
import type { Aim } from "../aims.ts";
import type { Setup } from "../setup.ts";
import { type BenchInstance, measureReading } from "../instance.ts";
import { storm } from "../load.ts";
import { LIFTED_PEER, type Readings, type Scenario } from "../scenario.ts";

type Key = "storm" | "peak";

/** Creates the scenario on new instances, whose first requests run cold code and whose start is not measured. */
export function stormScenario(setup: Setup, nodes: number, aim: Aim): Scenario<Key> {
  const what = `${nodes} nodes at once${setup.where}`;
  return {
    lines: {
      storm: { what, unit: "s", peer: LIFTED_PEER, aim },
      peak: { what: `peak memory, ${what}`, unit: "MB", peer: LIFTED_PEER, aim: setup.aims.peak },
    },
    ours: async (program) => await readStorm(await setup.ours(program), nodes),
    theirs: async () => await readStorm(await setup.theirs(), nodes),
  };
}

async function readStorm(started: BenchInstance, nodes: number): Promise<Readings<Key>> {
  await using instance = started;
  const read = await measureReading(instance, async () => {
    const { seconds: value, retries } = await storm(instance.bootstrapKubeconfigs, nodes);
    return { value, retries };
  });
  return { storm: read, peak: { value: read.usage.peakBytes / 1e6 } };
}
