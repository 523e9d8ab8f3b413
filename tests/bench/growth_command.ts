/** `deno task bench growth`: cost and memory as nodes, stored requests, watchers and Leases grow. */
import { formatMet } from "./aims.ts";
import type { Bench } from "./bench.ts";
import { ON_SQLITE } from "./setup.ts";
import { AXES, type Axis, type GrowthPoint } from "./growth_axes.ts";
import { runRounds } from "./measure.ts";
import { formatNumber, formatRetries, formatRounds } from "./report.ts";
import { LIFTED_PEER } from "./scenario.ts";
import type { Picture, Section } from "./section.ts";
import type { BenchInstance } from "./instance.ts";
import { bendsUpward, findMedian, risesAtTheEnd } from "./stats.ts";
import { drawPlot } from "./svg.ts";

/** One cost of one side. */
interface Track {
  readonly axis: string;
  readonly cost: string;
  readonly side: string;
  readonly isOurs: boolean;
  readonly points: readonly GrowthPoint[];
}

interface Side {
  readonly name: string;
  readonly isOurs: boolean;
  start(axis: Axis): Promise<BenchInstance>;
}

export async function runGrowth(bench: Bench): Promise<Section> {
  const { options, progress, machine } = bench;
  const { words, rounds, scale } = options;
  const axes = AXES.filter(({ key, items }) => words.every((word) => `${key} ${items}`.includes(word)));
  if (axes.length === 0) throw new Error(`no axis of growth contains "${words.join(" ")}"`);
  const program = await bench.program();
  const sides: readonly Side[] = [
    { name: "tlsboot", isOurs: true, start: ({ setup = ON_SQLITE }) => setup.ours(program) },
    { name: LIFTED_PEER, isOurs: false, start: ({ setup = ON_SQLITE }) => setup.theirs() },
  ];
  const tracks: Track[] = [];
  const pictures: Picture[] = [];
  for (const axis of axes) {
    const counts = axis.counts.map((count) => Math.max(1, Math.round(count * scale)));
    const measured = await measureAxis(axis, counts, sides, rounds, progress);
    tracks.push(...measured);
    pictures.push(...createPictures(axis, measured));
  }
  return {
    command: "growth",
    title: "Growth",
    machine: machine(),
    settings: `${formatRounds(rounds)} Memory is the peak so far. Aim: the cost per item does not rise with the ` +
      "number of items, and memory does not bend upward.",
    head: ["what", "side", "count", "ms each", "retries", "CPU s", "peak MB", "aim"],
    rows: tracks.flatMap(toGrowthRows),
    pictures,
    data: tracks,
  };
}

async function measureAxis(
  axis: Axis,
  counts: readonly number[],
  sides: readonly Side[],
  rounds: number,
  progress: (text: string) => void,
): Promise<readonly Track[]> {
  const turns = sides.map(({ name, start }) => ({
    name,
    run: () => axis.measure(() => start(axis), counts, (text) => progress(`${axis.key}, ${name}: ${text}`)),
  }));
  const results = await runRounds(turns, rounds, (text) => progress(`${axis.key}, ${text}`));
  return Object.entries(axis.costs).flatMap(([key, cost]) =>
    sides.map(({ name, isOurs }, index) => {
      const runs = results[index]!.map((run) => run[key] ?? []);
      return { axis: axis.key, cost, side: name, isOurs, points: counts.map((_, at) => medianPoint(runs, at)) };
    })
  );
}

function medianPoint(runs: readonly (readonly GrowthPoint[])[], at: number): GrowthPoint {
  const points = runs.flatMap((run) => run[at] ?? []);
  const median = (key: keyof GrowthPoint): number => findMedian(points.map((point) => point[key]));
  return {
    count: median("count"),
    milliseconds: median("milliseconds"),
    megabytes: median("megabytes"),
    cpuSeconds: median("cpuSeconds"),
    retries: median("retries"),
  };
}

/** Formats the rows of a track. The aim is in the row of the largest count, which decides whether it is met. */
function toGrowthRows({ cost, side, isOurs, points }: Track): readonly (readonly string[])[] {
  const isMet = !risesAtTheEnd(points.map(({ milliseconds }) => milliseconds)) && !bendsUpward(toMemoryPoints(points));
  return points.map(({ count, milliseconds, megabytes, cpuSeconds, retries }, index) => [
    cost,
    side,
    String(count),
    milliseconds.toPrecision(3),
    formatRetries(retries),
    formatNumber(cpuSeconds),
    formatNumber(megabytes),
    isOurs && index === points.length - 1 ? formatMet(isMet) : "",
  ]);
}

function createPictures(axis: Axis, tracks: readonly Track[]): readonly Picture[] {
  const costs = Object.entries(axis.costs).map(([key, cost]) => {
    const title = `Time for ${cost}`;
    const svg = drawPlot({
      title,
      xLabel: axis.items,
      yLabel: "milliseconds",
      xScale: "logarithmic",
      series: tracks.filter((track) => track.cost === cost).map(({ side, points }) => ({
        name: side,
        points: points.map(({ count, milliseconds }) => ({ x: count, y: milliseconds })),
      })),
    });
    return { name: `growth_${axis.key}_${key}`, title, svg };
  });
  const title = `Peak memory with ${axis.items}`;
  const last = Object.values(axis.costs).at(-1);
  const svg = drawPlot({
    title,
    xLabel: axis.items,
    yLabel: "MB",
    xScale: "linear",
    series: tracks.filter(({ cost }) => cost === last).map(({ side, points }) => ({
      name: side,
      points: toMemoryPoints(points),
    })),
  });
  return [...costs, { name: `growth_${axis.key}_memory`, title, svg }];
}

function toMemoryPoints(points: readonly GrowthPoint[]): readonly { readonly x: number; readonly y: number }[] {
  return points.map(({ count, megabytes }) => ({ x: count, y: megabytes }));
}
