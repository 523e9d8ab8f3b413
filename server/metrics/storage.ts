/**
 * Metrics of the storage: the number of objects, the duration and size of commits, the size of its files, the free disk
 * space, and the calls to etcd.
 */
import { Counter, Gauge, Histogram } from "prom-client";
import type { JournalObserver } from "../storage/sqlite/journal.ts";
import { createExponentialBuckets, type MetricsRegistry, REQUEST_BUCKETS } from "./registry.ts";
import type { Resource, StoredResource } from "../registry/resource.ts";
import { toKeyPrefix } from "../registry/registry.ts";
import type { Storage } from "../storage/storage.ts";
import type { EtcdObserver } from "../storage/etcd/client.ts";

/** The sizes of the storage's files and the free disk space, in bytes. */
export interface StorageSizes {
  readonly database: number;
  readonly journal: number;
  readonly diskFree: number;
}

/** Adds the metrics to a registry and returns the observer of commits. `readSizes` is called at each scrape. */
export function createStorageMetrics(
  registry: MetricsRegistry,
  readSizes: () => Promise<StorageSizes>,
): JournalObserver {
  const options = (name: string, help: string) => ({ name, help, registers: [registry] });
  const seconds = new Histogram({
    ...options("tlsboot_storage_commit_duration_seconds", "Time of a commit until it is on disk."),
    buckets: createExponentialBuckets(0.0001, 2, 16),
  });
  const changes = new Histogram({
    ...options("tlsboot_storage_commit_changes", "Writes that share a commit."),
    buckets: createExponentialBuckets(1, 2, 12),
  });
  const failures = new Counter(
    options("tlsboot_storage_commit_failures_total", "Commits that failed: none of their writes was acknowledged."),
  );
  // All gauges are collected at the same time, so they share one reading.
  let reading: Promise<StorageSizes> | undefined;
  const sizes = () =>
    reading ??= readSizes().finally(() => {
      reading = undefined;
    });
  new Gauge({
    ...options("tlsboot_storage_journal_bytes", "Bytes of the write-ahead log next to the database."),
    async collect() {
      this.set((await sizes()).journal);
    },
  });
  new Gauge({
    ...options("tlsboot_storage_disk_free_bytes", "Free bytes on the disk of the database."),
    async collect() {
      this.set((await sizes()).diskFree);
    },
  });
  new Gauge({
    ...options("apiserver_storage_size_bytes", "Bytes of the database file."),
    labelNames: ["storage_cluster_id"],
    async collect() {
      this.set({ storage_cluster_id: "sqlite-0" }, (await sizes()).database);
    },
  });
  return {
    committed(count, took) {
      seconds.observe(took);
      changes.observe(count);
    },
    failed: () => failures.inc(),
  };
}

/** Adds the gauge of the free space on the disk of the audit log; `readFree` is called at each scrape. */
export function gaugeAuditDisk(registry: MetricsRegistry, readFree: () => Promise<number>): void {
  new Gauge({
    name: "tlsboot_audit_disk_free_bytes",
    help: "Free bytes on the disk of the audit log.",
    registers: [registry],
    async collect() {
      // The gauge keeps its value while the disk cannot be read.
      const free = await readFree().catch(() => undefined);
      if (free !== undefined) this.set(free);
    },
  });
}

/** Adds `apiserver_resource_objects`, counted at each scrape. */
export function countObjects(
  registry: MetricsRegistry,
  storage: Pick<Storage, "list">,
  resources: readonly Resource[],
): void {
  // A resource with a conversion shares the objects of another resource.
  const stored = resources.filter(({ conversion }) => conversion === undefined);
  new Gauge({
    name: "apiserver_resource_objects",
    help: "Objects that are stored, by resource.",
    labelNames: ["group", "resource"],
    registers: [registry],
    async collect() {
      for (const resource of stored) {
        const { group, plural } = resource.kind;
        // The gauge keeps its value while the store cannot be read; other metrics show why.
        const page = await storage.list(toKeyPrefix(resource, ""), { limit: 1 }).catch(() => undefined);
        if (page !== undefined) this.set({ group, resource: plural }, page.items.length + page.remaining);
      }
    },
  });
}

const ETCD_LABELS = ["operation", "group", "resource"] as const;

/**
 * Adds the metrics of etcd to a registry, and returns the observer of calls. Keys outside of resources have empty
 * labels.
 */
export function createEtcdMetrics(registry: MetricsRegistry, resources: readonly StoredResource[]): EtcdObserver {
  const options = (name: string, help: string) => ({ name, help, registers: [registry] });
  const seconds = new Histogram({
    ...options("etcd_request_duration_seconds", "Etcd request latency in seconds for each operation and object type."),
    labelNames: [...ETCD_LABELS],
    buckets: [...REQUEST_BUCKETS],
  });
  const requests = new Counter({
    ...options("etcd_requests_total", "Etcd requests for each operation and object type."),
    labelNames: [...ETCD_LABELS],
  });
  const errors = new Counter({
    ...options("etcd_request_errors_total", "Etcd requests that failed, for each operation and object type."),
    labelNames: [...ETCD_LABELS],
  });
  const lag = new Histogram({
    ...options("tlsboot_etcd_mirror_lag_seconds", "Time until a change in etcd is known here."),
    buckets: createExponentialBuckets(0.001, 2, 15),
  });
  const breaks = new Counter(
    options("tlsboot_etcd_watch_breaks_total", "How often the watch on etcd broke. It resumes where it stopped."),
  );
  // A resource with a conversion shares the keys of another resource.
  const known = resources.filter(({ conversion }) => conversion === undefined).map((resource) => ({
    prefix: toKeyPrefix(resource, ""),
    labels: { group: resource.kind.group, resource: resource.kind.plural },
  }));
  return {
    called({ operation, key, seconds: took, failed }) {
      const resource = known.find(({ prefix }) => key.startsWith(prefix))?.labels ?? { group: "", resource: "" };
      const labels = { operation, ...resource };
      seconds.observe(labels, took);
      requests.inc(labels);
      if (failed) errors.inc(labels);
    },
    caughtUp: (took) => lag.observe(took),
    watchBroke: () => breaks.inc(),
  };
}
