/** Several rounds of a scenario: every form of ours and the peer in turn, so that a busy machine slows all of them. */
import type { Program } from "./program.ts";
import type { Line, Reading, Scenario } from "./scenario.ts";

/** The readings of one line in one form. */
export interface Measured {
  readonly line: Line;
  readonly form: Program["form"];
  readonly ours: readonly Reading[];
  readonly theirs: readonly Reading[];
}

export interface MeasureOptions {
  readonly rounds: number;
  readonly programs: readonly Program[];
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
  const programs = options.programs.filter(({ form }) => scenario.forms?.includes(form) ?? true);
  if (programs.length === 0) return [];
  const ours = programs.map((program): Side => ({
    name: program.form,
    readings: [],
    act: () => scenario.ours(program),
  }));
  const peer: Side = { name: "peer", readings: [], act: () => scenario.theirs() };
  const sides = [...ours, peer];
  const rounds = options.rounds * (scenario.runsPerRound ?? 1);
  for (let round = 0; round < rounds; round++) {
    for (const side of rotate(sides, round)) {
      options.progress(`round ${round + 1} of ${rounds}, ${side.name}`);
      side.readings.push(await side.act());
    }
  }
  return programs.flatMap(({ form }, index) =>
    Object.entries(scenario.lines).map(([key, line]) => ({
      line,
      form,
      ours: findReadings(ours[index], key),
      theirs: findReadings(peer, key),
    }))
  );
}

/** Rotates the order of the sides, so that none of them always runs on the warmer machine. */
export function rotate<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function findReadings(side: Side | undefined, key: string): readonly Reading[] {
  return side?.readings.flatMap((readings) => readings[key] ?? []) ?? [];
}

export async function measureSeconds(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return (performance.now() - startedAt) / 1000;
}
