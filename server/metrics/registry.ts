/** The registry of one process's metrics, which is not global, so that several servers can run in one process. */
import { collectDefaultMetrics, Gauge, type Metric, Registry } from "prom-client";
import { addEventLoopLag } from "./event_loop.ts";

/** The metrics of a process, to which each part adds its own. */
export type MetricsRegistry = Registry;

/** The facts about a build that are in the metrics. */
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

/** The longest interval of a timer, because prom-client's measurement of the event loop cannot be turned off. */
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

/** Creates bucket limits of a histogram that grow by a factor. */
export function exponentialBuckets(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number((start * factor ** index).toPrecision(12)));
}
