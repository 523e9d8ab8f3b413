/** Measures the CPU of a server without clients. */
import { setTimeout } from "node:timers/promises";
import { AIMS } from "../aims.ts";
import type { Setup } from "../setup.ts";
import { type BenchInstance, usedBy, usedSince } from "../instance.ts";
import type { Reading, Scenario } from "../scenario.ts";

/** The time after which work from the start is done. */
const SETTLE_MS = 15_000;

export function idleScenario(setup: Setup, seconds: number): Scenario<"idle"> {
  return {
    lines: {
      idle: { what: `CPU of an idle instance over ${seconds} s`, unit: "%", peer: "control plane", aim: AIMS.idle },
    },
    ours: async (program) => ({ idle: await readIdle(await setup.ours(program), seconds) }),
    theirs: async () => ({ idle: await readIdle(await setup.theirs(), seconds) }),
  };
}

async function readIdle(started: BenchInstance, seconds: number): Promise<Reading> {
  await using instance = started;
  await setTimeout(SETTLE_MS);
  const [startedAt, before] = [performance.now(), usedBy(instance)];
  await setTimeout(seconds * 1000);
  const used = usedSince(before, instance);
  return { value: (100 * used.usage.cpuSeconds) / ((performance.now() - startedAt) / 1000), ...used };
}
