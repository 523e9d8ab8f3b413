/** Where the metrics of one process are kept: nothing global, so that several servers can stand side by side. */
import { collectDefaultMetrics, Gauge, type Metric, Registry } from "prom-client";
import { addEventLoopLag } from "./event_loop.ts";

/** The metrics of a process; each part of it adds its own. */
export type MetricsRegistry = Registry;

/** What a build says of itself. */
export interface BuildFacts {
  /** `/version`, as it is sent: the Kubernetes release that the API is. */
  readonly version: Readonly<Record<string, string>>;
}

/** Makes one, with what the process and the runtime tell of themselves. */
export function createMetricsRegistry(): MetricsRegistry {
  const registry = new Registry();
  const defaults = new Registry();
  collectDefaultMetrics({ register: defaults, eventLoopMonitoringPrecision: NEVER_MS });
  for (const metric of defaults.getMetricsAsArray()) {
    if (!LEFT_OUT.test(metric.name)) registry.registerMetric(metric as unknown as Metric);
  }
  addEventLoopLag(registry);
  return registry;
}

/**
 * The lag of the event loop, which is measured less often here, and `nodejs_active_resources_total` and its like: gauges
 * whose names say that they are counters, and that only add up the gauges of each type beside them.
 */
const LEFT_OUT = /^nodejs_(?:eventloop_lag_|active_.+_total$)/;

/** The longest that a timer waits. prom-client measures the event loop a hundred times a second, and cannot be told not to. */
const NEVER_MS = 2 ** 31 - 1;

/** Adds `kubernetes_build_info`. */
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

/** Limits of histograms that grow by a factor. */
export function exponentialBuckets(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number((start * factor ** index).toPrecision(12)));
}
