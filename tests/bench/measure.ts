/** Runs several rounds of a scenario, our side and the peer in turn, so that a busy machine slows both. */
import type { Program } from "./program.ts";
import type { Line, Reading, Scenario } from "./scenario.ts";

/** The readings of one line. */
export interface Measured {
  readonly line: Line;
  readonly ours: readonly Reading[];
  readonly theirs: readonly Reading[];
}

/** A side that takes its turn in each round. */
export interface Side<Result> {
  readonly name: string;
  run(): Promise<Result>;
}

/** Runs every side in every round, beginning with a different side each time. */
export async function runRounds<Result>(
  sides: readonly Side<Result>[],
  rounds: number,
  progress: (text: string) => void,
): Promise<readonly (readonly Result[])[]> {
  const results = sides.map((): Result[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const index of rotate([...sides.keys()], round)) {
      const { name, run } = sides[index]!;
      progress(`round ${round + 1} of ${rounds}, ${name}`);
      results[index]!.push(await run());
    }
  }
  return results;
}

/** Measures a scenario. A failed run fails the benchmark; a slow run never does. */
export async function measure(
  scenario: Scenario,
  program: Program,
  rounds: number,
  progress: (text: string) => void,
): Promise<readonly Measured[]> {
  const sides = [
    { name: "tlsboot", run: () => scenario.ours(program) },
    { name: "peer", run: () => scenario.theirs(program) },
  ];
  const [ours = [], theirs = []] = await runRounds(sides, rounds, progress);
  return Object.entries(scenario.lines).map(([key, line]) => ({
    line,
    ours: ours.flatMap((one) => one[key] ?? []),
    theirs: theirs.flatMap((one) => one[key] ?? []),
  }));
}

/** Rotates the order of the sides, so that none always runs on a warmer machine. */
function rotate<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

export async function measureSeconds(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return (performance.now() - startedAt) / 1000;
}
