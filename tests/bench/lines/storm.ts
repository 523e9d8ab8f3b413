/** Measures nodes that bootstrap at the same instant. */
import type { Aim } from "../aims.ts";
import type { Grounds } from "../grounds.ts";
import { type BenchInstance, measureReading } from "../instance.ts";
import { storm } from "../load.ts";
import { LIFTED_PEER, type Readings, type Scenario } from "../scenario.ts";

type Key = "storm" | "peak";

/**
 * Creates the scenario. The instance of each run is fresh, so the first requests run cold code; its start is not
 * counted.
 */
export function stormScenario(grounds: Grounds, nodes: number, aim: Aim): Scenario<Key> {
  const what = `${nodes} nodes at once${grounds.where}`;
  return {
    lines: {
      storm: { what, unit: "s", peer: LIFTED_PEER, aim },
      peak: { what: `peak memory, ${what}`, unit: "MB", peer: LIFTED_PEER, aim: grounds.aims.peak },
    },
    ours: async (program) => await readStorm(await grounds.ours(program), nodes),
    theirs: async () => await readStorm(await grounds.theirs(), nodes),
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
