/** The metrics of an instance: one registry for the server, its storage, the controllers beside it, and its certificates. */
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { parseCertificate } from "../../core/pki/certificate.ts";
import { findPemBlock } from "../../core/pki/pem.ts";
import { chainNotAfter } from "../../core/pki/authority_chain.ts";
import type { Clock } from "../../core/ports.ts";
import { type ControllerMetrics, createControllerMetrics } from "../../server/metrics/controllers.ts";
import { createExpiryMetrics, type ExpiryMetrics } from "../../server/metrics/expiry.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../../server/metrics/registry.ts";
import { gaugeAuditDisk } from "../../server/metrics/audit_disk.ts";
import { createStorageMetrics, type StorageSizes } from "../../server/metrics/storage.ts";
import type { JournalObserver } from "../../server/storage/memory/observed_journal.ts";
import type { InstanceAuthorities } from "../authority/instance_authorities.ts";
import { readFreeBytes } from "./storage_space.ts";

/** Where each part of an instance tells of itself. */
export interface InstanceMetrics {
  readonly registry: MetricsRegistry;
  readonly controllers: ControllerMetrics;
  readonly expiry: ExpiryMetrics;
}

/** Makes them; what the objects are kept in adds its own. */
export function createInstanceMetrics(clock: Pick<Clock, "elapsedMs">): InstanceMetrics {
  const registry = createMetricsRegistry();
  return {
    registry,
    controllers: createControllerMetrics(registry, clock),
    expiry: createExpiryMetrics(registry),
  };
}

/** Adds the metrics of a database. */
export function registerDatabaseMetrics(registry: MetricsRegistry, database: string): JournalObserver {
  return createStorageMetrics(registry, () => readSizes(database));
}

/** Adds what the disk of an audit log has left. */
export function registerAuditDiskMetrics(registry: MetricsRegistry, folder: string): void {
  gaugeAuditDisk(registry, () => readFreeBytes(folder));
}

/** Tells when the CAs and the serving certificate of an instance end. */
export function recordExpiry(
  expiry: ExpiryMetrics,
  { serving, clientCas }: InstanceAuthorities,
  servingPair: { readonly certificatePem: string },
): void {
  expiry.set("serving CA", chainNotAfter(serving));
  for (const { chain, certificateFile } of clientCas) expiry.set(basename(certificateFile), chainNotAfter(chain));
  recordServingExpiry(expiry, servingPair);
}

/** Tells when the serving certificate ends. */
export function recordServingExpiry(
  expiry: ExpiryMetrics,
  { certificatePem }: { readonly certificatePem: string },
): void {
  const block = findPemBlock(certificatePem)?.block;
  const leaf = block === undefined ? undefined : parseCertificate(block.bytes);
  if (leaf?.ok === true) expiry.set("serving", leaf.value.notAfter);
}

async function readSizes(database: string): Promise<StorageSizes> {
  const sizeOf = (path: string) => stat(path).then(({ size }) => size, () => 0);
  return {
    database: await sizeOf(database),
    journal: await sizeOf(`${database}-wal`),
    diskFree: await readFreeBytes(dirname(database)),
  };
}
