/**
 * Metrics of the storage: the number of objects, the duration and size of commits, the size of its files, and the free disk
 * space.
 */
import { Counter, Gauge, Histogram } from "prom-client";
import type { JournalObserver } from "../storage/memory/observed_journal.ts";
import { exponentialBuckets, type MetricsRegistry } from "./registry.ts";
import type { Resource } from "../registry/resource.ts";
import { toKeyPrefix } from "../registry/registry.ts";
import type { Storage } from "../storage/storage.ts";

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
    buckets: exponentialBuckets(0.0001, 2, 16),
  });
  const changes = new Histogram({
    ...options("tlsboot_storage_commit_changes", "Writes that share a commit."),
    buckets: exponentialBuckets(1, 2, 12),
  });
  const failures = new Counter(
    options("tlsboot_storage_commit_failures_total", "Commits that failed: none of their writes was acknowledged."),
  );
  // All gauges are collected at the same time, so they share one reading.
  let asked: Promise<StorageSizes> | undefined;
  const sizes = () =>
    asked ??= readSizes().finally(() => {
      asked = undefined;
    });
  new Gauge({
    ...options("tlsboot_storage_journal_bytes", "Bytes of the write-ahead log beside the database."),
    async collect() {
      this.set((await sizes()).journal);
    },
  });
  new Gauge({
    ...options("tlsboot_storage_disk_free_bytes", "Bytes that the disk of the database has left for it."),
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
    help: "Bytes that the disk of the audit log has left for it.",
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
  // Another version of a stored kind is counted with that kind.
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
