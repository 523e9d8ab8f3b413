/** `deno task bench steady`: memory while nodes bootstrap and their requests are deleted; it should not grow. */
import { formatMet } from "./aims.ts";
import { clean, storm } from "./load.ts";
import { startOurInstance } from "./our_instance.ts";
import { readUsage, type Usage } from "./processes.ts";
import type { Program } from "./program.ts";
import { formatNumber, formatRetries } from "./report.ts";
import type { Bench } from "./bench.ts";
import type { Section } from "./section.ts";
import { growthAtTheEnd, type Sample } from "./stats.ts";
import { drawPlot } from "./svg.ts";

const NODES = 200;
const SAMPLE_MS = 1000;
/** The factor by which the last quarter may exceed the one before. */
const AIM = 1.1;

interface SteadyReport {
  readonly nodes: number;
  readonly storms: number;
  readonly cpuSeconds: number;
  /** The number of retries after a request without an answer. */
  readonly retries: number;
  readonly samples: readonly Sample[];
  /** The median of the last quarter divided by that of the quarter before. */
  readonly growth: number;
  readonly peakMegabytes: number;
}

export async function runSteady({ options, program, progress, machine }: Bench): Promise<Section> {
  const { minutes, scale } = options;
  const nodes = Math.max(1, Math.round(NODES * scale));
  progress(`steady: ${minutes} min`);
  const report = await stormFor(await program(), minutes * 60_000, nodes, progress);
  const { storms, cpuSeconds, retries, growth, peakMegabytes } = report;
  const title = `Memory over ${minutes} minutes of storms and cleaning`;
  return {
    command: "steady",
    title: "Steady",
    machine: machine(),
    settings:
      `${nodes} nodes at once and then all requests deleted, over and over, for ${minutes} minutes. The history ` +
      "of the last five minutes is kept, up to 256 MiB, so memory grows until then.",
    head: [
      "storms",
      "nodes",
      "CPU ms per node",
      "retries",
      "peak MB",
      "last quarter / the one before",
      "aim",
      "",
    ],
    rows: [[
      String(storms),
      String(storms * nodes),
      formatNumber((cpuSeconds * 1000) / (storms * nodes)),
      formatRetries(retries),
      formatNumber(peakMegabytes),
      `${growth.toFixed(2)} ×`,
      `under ${AIM} ×`,
      formatMet(growth <= AIM),
    ]],
    pictures: [{
      name: "steady",
      title,
      svg: drawPlot({
        title,
        xLabel: "minutes",
        yLabel: "resident memory, MB",
        xScale: "linear",
        series: [{
          name: "tlsboot",
          points: report.samples.map(({ atMs, residentBytes }) => ({ x: atMs / 60_000, y: residentBytes / 1e6 })),
        }],
      }),
    }],
    data: report,
  };
}

async function stormFor(
  program: Program,
  durationMs: number,
  nodes: number,
  progress: (text: string) => void,
): Promise<SteadyReport> {
  await using instance = await startOurInstance(program);
  const startedAt = performance.now();
  const samples: Sample[] = [];
  const takeSample = (): Usage => {
    const usage = readUsage(instance.pids);
    samples.push({ atMs: Math.round(performance.now() - startedAt), residentBytes: usage.residentBytes });
    return usage;
  };
  const before = takeSample();
  const timer = setInterval(takeSample, SAMPLE_MS);
  let storms = 0;
  let retries = 0;
  try {
    while (performance.now() - startedAt < durationMs) {
      retries += (await storm(instance.bootstrapKubeconfigs, nodes, { prefix: `steady-${storms}` })).retries;
      retries += (await clean(instance.adminKubeconfigs)).retries;
      storms++;
      if (storms % 20 === 0) {
        progress(`${storms} storms, ${formatNumber((samples.at(-1)?.residentBytes ?? 0) / 1e6)} MB`);
      }
    }
  } finally {
    clearInterval(timer);
  }
  const after = takeSample();
  return {
    nodes,
    storms,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    retries,
    samples,
    growth: growthAtTheEnd(samples),
    peakMegabytes: after.peakBytes / 1e6,
  };
}
