/** A health check and warnings before a disk is full, so that an operator can act before anything fails. */
import { readFreeBytes } from "../../client/health/host.ts";
import { getErrorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/ports.ts";
import type { HealthCheck, MetricsRegistry } from "../../server/mod.ts";
import { gaugeAuditDisk } from "../../server/metrics/storage.ts";
import type { AuditLog } from "./audit_log.ts";
import type { Part } from "./parts.ts";

const MEGABYTE = 1_048_576;

/** A path on a disk that the instance writes to. */
export interface DiskPlace {
  readonly path: string;
  /** The description of the path, such as `data directory`. */
  readonly what: string;
}

export interface DiskWatch extends Part {
  /** The health check that serves `/readyz/storage-space`. */
  readonly health: HealthCheck;
}

/**
 * Starts to watch the disks of the data directory and of the audit log, and logs which of them are almost full. The disk
 * of the audit log affects the health only with a strict log, which refuses requests that cannot be audited.
 */
export async function watchDisks(
  { root, auditLog: { audit, folder }, registry, minFreeMegabytes }: {
    readonly root: string;
    readonly auditLog: AuditLog;
    readonly registry: MetricsRegistry;
    readonly minFreeMegabytes: number;
  },
  deps: { readonly logger: Logger },
): Promise<DiskWatch> {
  const data = { path: root, what: "data directory" };
  const log = folder === undefined ? [] : [{ path: folder, what: "audit log" }];
  for (const { path } of log) gaugeAuditDisk(registry, () => readFreeBytes(path));
  const renew = createSpaceWatch([data, ...log], minFreeMegabytes, deps);
  await renew();
  return { health: createStorageSpaceCheck([data, ...(audit?.isStrict === true ? log : [])], minFreeMegabytes), renew };
}

/**
 * Creates `/readyz/storage-space`, which fails when a disk has less free space than the limit. With 0 it never fails.
 */
export function createStorageSpaceCheck(places: readonly DiskPlace[], minFreeMegabytes: number): HealthCheck {
  return {
    name: "storage-space",
    readyOnly: true,
    async check() {
      if (minFreeMegabytes === 0) return;
      for (const { path, what } of places) {
        const left = megabytes(await readFreeBytes(path));
        if (left < minFreeMegabytes) {
          throw new Error(`the disk of the ${what} has ${Math.floor(left)} MB left, less than ${minFreeMegabytes}`);
        }
      }
    },
  };
}

/** Creates a check that logs when the free space of a disk falls below the limit, and when it is above it again. */
export function createSpaceWatch(
  places: readonly DiskPlace[],
  minFreeMegabytes: number,
  { logger, free = readFreeBytes }: { readonly logger: Logger; readonly free?: (path: string) => Promise<number> },
): () => Promise<void> {
  const low = new Set<DiskPlace>();
  return async () => {
    for (const place of places) {
      const { path, what } = place;
      try {
        const left = megabytes(await free(path));
        if (left < minFreeMegabytes === low.has(place)) continue;
        const fields = { what, path, megabytes: Math.floor(left) };
        if (low.delete(place)) logger.info("a disk has space again", fields);
        else {
          low.add(place);
          logger.warn("a disk is almost full", fields);
        }
      } catch (error) {
        logger.warn("the free space of a disk cannot be read", { what, path, error: getErrorMessage(error) });
      }
    }
  };
}

function megabytes(bytes: number): number {
  return bytes / MEGABYTE;
}
