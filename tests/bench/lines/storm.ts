/** Nodes that bootstrap at the same instant. */
import type { Grounds } from "../grounds.ts";
import { storm } from "../load.ts";
import { type Aim, atMostTimes, type Readings, type Scenario } from "../scenario.ts";
import { type BenchInstance, measureReading } from "../instance.ts";

/** How a storm is measured. */
export interface StormOptions {
  readonly grounds: Grounds;
  readonly nodes: number;
  /** The name of the peer, and additional flags of its kube-controller-manager. */
  readonly peer: string;
  readonly controllerFlags: readonly string[];
  readonly aim: Aim | undefined;
}

type Key = "storm" | "peak";

/** The instance of each run is fresh, so the first requests meet cold code; starting it is not counted. */
export function stormScenario({ grounds, nodes, peer, controllerFlags, aim }: StormOptions): Scenario<Key> {
  const what = `${nodes} nodes at once`;
  return {
    lines: {
      storm: { what, unit: "s", peer, aim: aim },
      peak: { what: `peak memory, ${what}`, unit: "MB", peer, aim: atMostTimes(1 / 3, "a third") },
    },
    ours: (program) => readStorm(() => grounds.ours(program), nodes),
    theirs: () => readStorm(() => grounds.theirs(controllerFlags), nodes),
  };
}

async function readStorm(startInstance: () => Promise<BenchInstance>, nodes: number): Promise<Readings<Key>> {
  await using instance = await startInstance();
  const read = await measureReading(instance, async () => {
    const { seconds: value, retries } = await storm(instance.bootstrapKubeconfigs, nodes);
    return { value, retries };
  });
  return { storm: read, peak: { value: read.usage.peakBytes / 1e6 } };
}
