/** Nodes that bootstrap at the same instant. */
import type { Grounds } from "../grounds.ts";
import { storm } from "../load.ts";
import { type Aim, always, type Reading, type Scenario } from "../scenario.ts";
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

/** The instance of each run is fresh, so the first requests meet cold code; starting it is not counted. */
export function stormScenario({ grounds, nodes, peer, controllerFlags, aim }: StormOptions): Scenario<"storm"> {
  return {
    lines: { storm: { what: `${nodes} nodes at once`, unit: "s", peer, findAim: always(aim) } },
    ours: async (program) => ({ storm: await readStorm(() => grounds.ours(program), nodes) }),
    theirs: async () => ({ storm: await readStorm(() => grounds.theirs(controllerFlags), nodes) }),
  };
}

async function readStorm(startInstance: () => Promise<BenchInstance>, nodes: number): Promise<Reading> {
  await using instance = await startInstance();
  return await measureReading(instance, async () => {
    const { seconds: value, retries } = await storm(instance.bootstrapKubeconfigs, nodes);
    return { value, retries };
  });
}
