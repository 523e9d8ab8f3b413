/** Several rounds of a scenario: ours and the peer in turn, so that a busy machine slows both of them. */
import type { Program } from "./program.ts";
import type { Line, Reading, Scenario } from "./scenario.ts";

/** The readings of one line. */
export interface Measured {
  readonly line: Line;
  readonly ours: readonly Reading[];
  readonly theirs: readonly Reading[];
}

export interface MeasureOptions {
  readonly rounds: number;
  readonly program: Program;
  /** Receives a line about the step that begins. */
  readonly progress: (text: string) => void;
}

interface Side {
  readonly name: string;
  readonly readings: Record<string, Reading>[];
  act(): Promise<Readonly<Record<string, Reading>>>;
}

/** Acts a scenario. A run that fails fails the benchmark; a slow one never does. */
export async function measure(scenario: Scenario, options: MeasureOptions): Promise<readonly Measured[]> {
  const { program, progress } = options;
  const ours: Side = { name: "tlsboot", readings: [], act: () => scenario.ours(program) };
  const peer: Side = { name: "peer", readings: [], act: () => scenario.theirs(program) };
  const rounds = options.rounds * (scenario.runsPerRound ?? 1);
  for (let round = 0; round < rounds; round++) {
    for (const side of rotate([ours, peer], round)) {
      progress(`round ${round + 1} of ${rounds}, ${side.name}`);
      side.readings.push(await side.act());
    }
  }
  return Object.entries(scenario.lines).map(([key, line]) => ({
    line,
    ours: findReadings(ours, key),
    theirs: findReadings(peer, key),
  }));
}

/** Rotates the order of the sides, so that none of them always runs on the warmer machine. */
export function rotate<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function findReadings({ readings }: Side, key: string): readonly Reading[] {
  return readings.flatMap((one) => one[key] ?? []);
}

export async function measureSeconds(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return (performance.now() - startedAt) / 1000;
}
