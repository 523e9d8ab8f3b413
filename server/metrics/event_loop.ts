/** Metrics of the event loop's lag, measured only ten times a second because an idle server wakes for little else. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Gauge } from "prom-client";
import type { MetricsRegistry } from "./registry.ts";

/** Measuring every 10 ms, prom-client's default, takes half a percent of a core; every 100 ms, a tenth of that. */
const EVERY_MS = 100;
const NS_PER_MS = 1e6;
const NS_PER_S = 1e9;
const PERCENTILES = [50, 90, 99] as const;

/** The measurements since the last scrape, in nanoseconds. */
export type MeasuredDelay = Pick<
  ReturnType<typeof monitorEventLoopDelay>,
  "count" | "min" | "max" | "mean" | "stddev" | "percentile"
>;

/** Adds `nodejs_eventloop_lag_*_seconds`, measured since the last scrape. */
export function addEventLoopLag(registry: MetricsRegistry): void {
  const histogram = monitorEventLoopDelay({ resolution: EVERY_MS });
  histogram.enable();
  const gauges = new Map<string, Gauge>();
  const take = (): void => {
    for (const [name, seconds] of Object.entries(toLagSeconds(histogram, EVERY_MS))) gauges.get(name)?.set(seconds);
    histogram.reset();
  };
  const add = (name: string, what: string, collect?: () => void): void => {
    const help = `${what} of how late the event loop was, measured each ${EVERY_MS} ms since the last scrape.`;
    const gauge = new Gauge({
      name: `nodejs_eventloop_lag_${name}_seconds`,
      help,
      registers: [registry],
      ...(collect === undefined ? {} : { collect }),
    });
    gauges.set(name, gauge);
  };
  // Gauges are collected in this order, so the first one reads all values.
  add("min", "Minimum", take);
  add("max", "Maximum");
  add("mean", "Mean");
  add("stddev", "Standard deviation");
  for (const percentile of PERCENTILES) add(`p${percentile}`, `${percentile}th percentile`);
}

/**
 * Lags in seconds by name. Node counts the time between two measurements in, Deno does not; it is no lag. Half of them
 * tell which: a single one is nothing on Node too, where the one before was very late.
 */
export function toLagSeconds(measured: MeasuredDelay, everyMs: number): Readonly<Record<string, number>> {
  const everyNs = everyMs * NS_PER_MS;
  const counted = measured.percentile(50) > everyNs / 2 ? everyNs : 0;
  const lag = (ns: number): number => measured.count === 0 ? 0 : Math.max(0, ns - counted) / NS_PER_S;
  return {
    min: lag(measured.min),
    max: lag(measured.max),
    mean: lag(measured.mean),
    stddev: measured.count === 0 ? 0 : measured.stddev / NS_PER_S,
    ...Object.fromEntries(PERCENTILES.map((one) => [`p${one}`, lag(measured.percentile(one))])),
  };
}
