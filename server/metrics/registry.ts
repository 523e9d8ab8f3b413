/**
 * The registry of metrics, and the metrics that every process has: its build, its event loop, and its own certificates.
 * The registry is not global, so that several servers can run in one process.
 */
import { collectDefaultMetrics, Gauge, type Metric, Registry } from "prom-client";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** The metrics of a process, to which each part adds its own. */
export type MetricsRegistry = Registry;

export interface BuildFacts {
  /** The content of `/version`, with the Kubernetes release that the API implements. */
  readonly version: Readonly<Record<string, string>>;
}

/** Creates a registry with the metrics of the process and the runtime. */
export function createMetricsRegistry(): MetricsRegistry {
  const registry = new Registry();
  const defaults = new Registry();
  collectDefaultMetrics({ register: defaults, eventLoopMonitoringPrecision: NEVER_MS });
  for (const metric of defaults.getMetricsAsArray()) {
    if (!OMITTED.test(metric.name)) registry.registerMetric(metric as unknown as Metric);
  }
  addEventLoopLag(registry);
  return registry;
}

/**
 * The default metrics that are omitted: the lag of the event loop, which is measured less often here, and gauges such
 * as `nodejs_active_resources_total`, which have the name of a counter and only add up other gauges.
 */
const OMITTED = /^nodejs_(?:eventloop_lag_|active_.+_total$)/;

/** The longest interval of a timer. prom-client's measurement of the event loop cannot be turned off. */
const NEVER_MS = 2 ** 31 - 1;

/** Adds the gauge `kubernetes_build_info` to a registry. */
export function addBuildInfo(registry: MetricsRegistry, { version }: BuildFacts): void {
  const labels = {
    major: version["major"] ?? "",
    minor: version["minor"] ?? "",
    git_version: version["gitVersion"] ?? "",
    git_commit: version["gitCommit"] ?? "",
    git_tree_state: version["gitTreeState"] ?? "",
    build_date: version["buildDate"] ?? "",
    go_version: version["goVersion"] ?? "",
    compiler: version["compiler"] ?? "",
    platform: version["platform"] ?? "",
  };
  new Gauge({
    name: "kubernetes_build_info",
    help: "Always 1; the labels say which Kubernetes release the API is, and which tlsboot serves it.",
    labelNames: Object.keys(labels),
    registers: [registry],
  }).set(labels, 1);
}

/** kube-apiserver's buckets for requests to it and to etcd, in seconds (`apiserver/pkg/endpoints/metrics`). */
export const REQUEST_BUCKETS: readonly number[] = [
  0.005,
  0.025,
  0.05,
  0.1,
  0.2,
  0.4,
  0.6,
  0.8,
  1,
  1.25,
  1.5,
  2,
  3,
  4,
  5,
  6,
  8,
  10,
  15,
  20,
  30,
  45,
  60,
];

/** Creates bucket limits of a histogram that grow by a factor. */
export function createExponentialBuckets(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number((start * factor ** index).toPrecision(12)));
}

/**
 * The interval of measurements. prom-client's default of 10 ms uses half a percent of a core; 100 ms use a tenth of
 * that.
 */
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
function addEventLoopLag(registry: MetricsRegistry): void {
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
 * Returns the lags in seconds by name. On Node, a measurement includes the interval itself, which is subtracted; on
 * Deno it does not. The median distinguishes the two, because on Node a single measurement after a late one may be
 * close to zero.
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
    ...Object.fromEntries(PERCENTILES.map((percentile) => [`p${percentile}`, lag(measured.percentile(percentile))])),
  };
}

export interface ExpiryMetrics {
  /** Records the expiry of a certificate or its replacement; `certificate` is `serving` or the file name of a CA. */
  set(certificate: string, notAfter: Date): void;
  /** Removes a CA that is no longer trusted. */
  remove(certificate: string): void;
}

export function createExpiryMetrics(registry: MetricsRegistry): ExpiryMetrics {
  const gauge = new Gauge({
    name: "tlsboot_own_certificate_expiry_timestamp_seconds",
    help: "When a certificate of the instance itself expires, in seconds since 1970.",
    labelNames: ["certificate"],
    registers: [registry],
  });
  return {
    set: (certificate, notAfter) => gauge.set({ certificate }, notAfter.getTime() / 1000),
    remove: (certificate) => gauge.remove({ certificate }),
  };
}
