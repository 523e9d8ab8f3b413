/**
 * Opens the storage of an instance, which is a database in its data directory or an etcd that other servers may share.
 * Also watches the space on the disks that the instance writes to.
 */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import {
  createEtcdMetrics,
  createStorageMetrics,
  gaugeAuditDisk,
  type StorageSizes,
} from "../../server/metrics/storage.ts";
import type { AuditOptions, HealthCheck, MetricsRegistry, Storage } from "../../server/mod.ts";
import { ABSENT_RESOURCES, createStoredValues, STORED_RESOURCES } from "../../server/registry/mod.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import type { StoreContents } from "../../server/storage/etcd/contents.ts";
import type { DataDir } from "../data_dir.ts";
import { readEtcdEndpoints, writeEtcdPlace } from "./etcd.ts";
import type { InstanceDeps } from "../deps.ts";
import { readFreeBytes } from "../../client/health/examine.ts";
import type { ServerSettings } from "../settings.ts";
import type { Logger } from "../../core/ports.ts";

const MEGABYTE = 1_048_576;

/** An open storage and facts about its content. Disposing it closes the storage. */
export interface InstanceStorage extends AsyncDisposable {
  readonly storage: Storage;
  /** True until a start has written all initial objects. */
  readonly isNew: boolean;
  /** All objects of a storage that other servers may share, tlsboot or kube-apiserver; undefined for a database. */
  readonly contents: StoreContents | undefined;
  /** Aborts when nothing can be written until the program is started again. */
  readonly lost: AbortSignal;
}

/**
 * Opens the storage of an instance and registers its metrics. AppError `storage_locked`, `storage_corrupt`,
 * `unreachable`, `io`.
 */
export async function openStorage(
  settings: ServerSettings,
  dir: DataDir,
  deps: InstanceDeps & { readonly registry: MetricsRegistry },
): Promise<InstanceStorage> {
  if (settings.etcdServers.length > 0) return await openShared(settings, dir, deps);
  // SQLite opens a database on a full disk, so the server would start and then refuse the first write.
  if (await readFreeBytes(dir.root) === 0) {
    throw new AppError("io", `cannot open storage "${dir.database}": the disk is full`, {
      hint: "free some space on the disk, and start again; nothing stored is lost",
    });
  }
  const { clock, logger } = deps;
  const observer = createStorageMetrics(deps.registry, () => readSizes(dir.database));
  const lost = new AbortController();
  const onLost = (error: AppError): void => {
    logger.error("the storage is lost, the server stops", { error });
    lost.abort(error);
  };
  await using opening = new AsyncDisposableStack();
  const storage = opening.use(
    await openSqliteStorage({
      path: dir.database,
      quotaBytes: settings.storageQuota * MEGABYTE,
      values: createStoredValues(STORED_RESOURCES),
      clock,
      logger,
      observer,
      onLost,
    }),
  );
  const isNew = await isNewStorage(storage);
  return { storage, isNew, contents: undefined, lost: lost.signal, [Symbol.asyncDispose]: close(opening) };
}

async function openShared(
  settings: ServerSettings,
  dir: DataDir,
  deps: InstanceDeps & { readonly registry: MetricsRegistry },
): Promise<InstanceStorage> {
  const endpoints = await readEtcdEndpoints(settings, deps);
  // Imported here, so that an instance with a database does not load it.
  const { openEtcdStorage } = await import("../../server/storage/etcd/storage.ts");
  await using opening = new AsyncDisposableStack();
  const { storage, contents } = await openEtcdStorage({
    endpoints,
    values: createStoredValues(STORED_RESOURCES, ABSENT_RESOURCES),
    compactionIntervalMs: settings.etcdCompactionInterval,
    clock: deps.clock,
    logger: deps.logger,
    observer: createEtcdMetrics(deps.registry, STORED_RESOURCES),
  });
  opening.use(storage);
  const isNew = await isNewStorage(storage);
  await writeEtcdPlace(dir, { servers: endpoints.servers, prefix: endpoints.prefix }, deps.files);
  const { signal: lost } = new AbortController();
  return { storage, isNew, contents, lost, [Symbol.asyncDispose]: close(opening) };
}

/** Reports whether no start has written all initial objects yet. The system namespaces are written last. */
export async function isNewStorage(storage: Pick<Storage, "list">): Promise<boolean> {
  return (await storage.list("/registry/namespaces/", { limit: 1 })).items.length === 0;
}

/** Keeps what was opened until the returned function is called. */
function close(opening: AsyncDisposableStack): () => Promise<void> {
  const opened = opening.move();
  return () => opened.disposeAsync();
}

async function readSizes(database: string): Promise<StorageSizes> {
  const readSize = (path: string) => stat(path).then(({ size }) => size, () => 0);
  return {
    database: await readSize(database),
    journal: await readSize(`${database}-wal`),
    diskFree: await readFreeBytes(dirname(database)),
  };
}

/** A path on a disk that the instance writes to. */
interface DiskPlace {
  readonly path: string;
  /** The description of the path, such as `data directory`. */
  readonly what: string;
}

/** A watch of disks, and the health check over it. */
interface DiskWatch {
  /** The health check that serves `/readyz/storage-space`. */
  readonly health: HealthCheck;
  /** Logs which disks are now almost full, and which no longer are. */
  renew(): Promise<void>;
}

/**
 * Starts to watch the disks of the data directory and of the audit log, and logs which of them are almost full. The disk
 * of the audit log affects the health only with a strict log, which refuses requests that cannot be audited.
 */
export async function watchDisks(
  { root, auditLog: { audit, folder }, registry, minFreeMegabytes }: {
    readonly root: string;
    readonly auditLog: { readonly audit: AuditOptions | undefined; readonly folder: string | undefined };
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
 * Creates `/readyz/storage-space`, which fails when a disk has less free space than the limit. A limit of 0 disables
 * it.
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

/** Creates a check that logs when the free space of a disk falls below the limit, and when it rises above it again. */
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
