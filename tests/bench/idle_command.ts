/** `deno task bench idle`: the CPU time of servers without clients. */
import { setTimeout } from "node:timers/promises";
import { measure } from "./measure.ts";
import { startOurInstance } from "./our_instance.ts";
import { startPeerInstance } from "./peer_instance.ts";
import { createLineReport, LINES_HEAD, toRow } from "./report.ts";
import { atMost, type Reading, type Scenario } from "./scenario.ts";
import type { Bench } from "./bench.ts";
import type { Section } from "./section.ts";
import { type BenchInstance, usedBy, usedSince } from "./instance.ts";

/** The work that a start leaves behind is over after this time. */
const SETTLE_MS = 15_000;
/** The time of the measurement, before `--scale`. */
const SECONDS = 60;
/** A person does not notice less, in percent of a core. */
const AIM = 0.5;

export async function runIdle({ options, program, progress, machine }: Bench): Promise<Section> {
  const { rounds, scale } = options;
  const seconds = SECONDS * scale;
  const scenario: Scenario<"idle"> = {
    lines: {
      idle: {
        what: `CPU of an idle instance over ${seconds} s`,
        unit: "%",
        peer: "control plane",
        aim: atMost(AIM, `under ${AIM} % of a core`),
      },
    },
    ours: async (ours) => ({ idle: await readIdle(() => startOurInstance(ours), seconds) }),
    theirs: async () => ({ idle: await readIdle(() => startPeerInstance([]), seconds) }),
  };
  const lines = (await measure(scenario, { rounds, program: await program(), progress })).map(createLineReport);
  return {
    command: "idle",
    title: "Idle",
    machine: machine(),
    settings: `Percent of one core over ${seconds} s, ${SETTLE_MS / 1000} s after the start.`,
    head: LINES_HEAD,
    rows: lines.map(toRow),
    pictures: [],
    data: lines,
  };
}

async function readIdle(startInstance: () => Promise<BenchInstance>, seconds: number): Promise<Reading> {
  await using instance = await startInstance();
  await setTimeout(SETTLE_MS);
  const before = usedBy(instance);
  const startedAt = performance.now();
  await setTimeout(seconds * 1000);
  const used = usedSince(before, instance);
  return { value: (100 * used.usage.cpuSeconds) / ((performance.now() - startedAt) / 1000), ...used };
}
