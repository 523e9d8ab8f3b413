/** Metrics of the server's etcd, under kube-apiserver's names if it has such a metric. */
import { Counter, Histogram } from "prom-client";
import { toKeyPrefix } from "../registry/registry.ts";
import type { StoredResource } from "../registry/resource.ts";
import type { EtcdObserver } from "../storage/etcd/observer.ts";
import { exponentialBuckets, type MetricsRegistry } from "./registry.ts";

const LABELS = ["operation", "group", "resource"] as const;
/** The buckets of kube-apiserver (`apiserver/pkg/storage/etcd3/metrics`). */
const BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

/** Adds the metrics to a registry and returns the observer of calls. Keys outside of resources have empty labels. */
export function createEtcdMetrics(registry: MetricsRegistry, resources: readonly StoredResource[]): EtcdObserver {
  const options = (name: string, help: string) => ({ name, help, registers: [registry] });
  const seconds = new Histogram({
    ...options("etcd_request_duration_seconds", "Etcd request latency in seconds for each operation and object type."),
    labelNames: [...LABELS],
    buckets: BUCKETS,
  });
  const requests = new Counter({
    ...options("etcd_requests_total", "Etcd requests for each operation and object type."),
    labelNames: [...LABELS],
  });
  const errors = new Counter({
    ...options("etcd_request_errors_total", "Etcd requests that failed, for each operation and object type."),
    labelNames: [...LABELS],
  });
  const lag = new Histogram({
    ...options("tlsboot_etcd_mirror_lag_seconds", "Time until changes that etcd has are known here."),
    buckets: exponentialBuckets(0.001, 2, 15),
  });
  const breaks = new Counter(
    options("tlsboot_etcd_watch_breaks_total", "Ends of the watch on etcd; it is begun again where it was."),
  );
  // A resource with a conversion shares the keys of another one.
  const known = resources.filter(({ conversion }) => conversion === undefined).map((resource) => ({
    prefix: toKeyPrefix(resource, ""),
    labels: { group: resource.kind.group, resource: resource.kind.plural },
  }));
  return {
    called({ operation, key, seconds: took, failed }) {
      const found = known.find(({ prefix }) => key.startsWith(prefix))?.labels ?? { group: "", resource: "" };
      const labels = { operation, ...found };
      seconds.observe(labels, took);
      requests.inc(labels);
      if (failed) errors.inc(labels);
    },
    caughtUp: (took) => lag.observe(took),
    watchBroke: () => breaks.inc(),
  };
}
