import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetricsRegistry, type MeasuredDelay, toLagSeconds } from "./registry.ts";

const MS = 1e6;

function measured(lags: readonly number[], countedMs: number): MeasuredDelay {
  const ns = lags.map((ms) => (ms + countedMs) * MS).sort((a, b) => a - b);
  const at = (share: number): number => ns[Math.ceil(share * ns.length) - 1]!;
  const mean = ns.reduce((sum, value) => sum + value, 0) / ns.length;
  return {
    count: ns.length,
    // Without a measurement, Node reports a minimum of 64 bits.
    min: ns[0] ?? 2 ** 63,
    max: ns.at(-1) ?? 0,
    mean,
    stddev: ns.length === 0 ? NaN : 2 * MS,
    percentile: (percentile) => at(percentile / 100) ?? 0,
  };
}

for (
  const { name, countedMs } of [
    { name: "includes the interval between measurements", countedMs: 100 },
    { name: "measures only the lag", countedMs: 0 },
  ]
) {
  test(`toLagSeconds() returns lags in seconds where the runtime ${name}`, () => {
    const lags = toLagSeconds(measured([0, 0.5, 1, 250], countedMs), 100);
    const rounded = Object.entries(lags).map(([key, seconds]) => [key, Number(seconds.toFixed(6))]);
    assert.deepEqual(Object.fromEntries(rounded), {
      ...{ min: 0, max: 0.25, mean: 0.062875, stddev: 0.002 },
      ...{ p50: 0.0005, p90: 0.25, p99: 0.25 },
    });
  });
}

test("toLagSeconds() returns no negative lag, and is not misled by one short measurement after a late one", () => {
  assert.equal(toLagSeconds(measured([-0.3, 1], 100), 100)["min"], 0);
  const { min, p50 } = toLagSeconds(measured([250, -99.9, 0, 0, 0], 100), 100);
  assert.deepEqual([min, p50], [0, 0]);
});

test("toLagSeconds() returns zeros while nothing has been measured", () => {
  assert.deepEqual([...new Set(Object.values(toLagSeconds(measured([], 0), 100)))], [0]);
});

test("createMetricsRegistry() has each lag once, and the runtime's other metrics", async () => {
  const text = await createMetricsRegistry().metrics();
  const names: readonly string[] = text.match(/(?<=^# TYPE )\S+/gm) ?? [];
  assert.deepEqual(
    names.filter((name) => name.startsWith("nodejs_eventloop_lag_")),
    ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map((part) => `nodejs_eventloop_lag_${part}_seconds`),
  );
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_gc_duration_seconds"]) {
    assert.ok(names.includes(name), name);
  }
  const gauges: readonly string[] = text.match(/(?<=^# TYPE )\S+(?= gauge$)/gm) ?? [];
  assert.deepEqual(gauges.filter((name) => name.endsWith("_total")), [], "only counters are totals");
  const values = [...text.matchAll(/^nodejs_eventloop_lag_\S+ (\S+)$/gm)].map(([, value]) => Number(value));
  assert.equal(values.filter(Number.isFinite).length, 7, `${values}`);
});
