/** Where an instance keeps its objects: a database in its data directory, or an etcd that it shares with others. */
import type { AppError } from "../../core/errors.ts";
import { createEtcdMetrics } from "../../server/metrics/etcd.ts";
import type { MetricsRegistry } from "../../server/metrics/registry.ts";
import { ABSENT_RESOURCES } from "../../server/registry/absent_kinds.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { kubeValues } from "../../server/registry/stored_values.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import type { StoreContents } from "../../server/storage/etcd/contents.ts";
import type { Storage } from "../../server/storage/storage.ts";
import type { ServerFlags } from "../commands/server_flags.ts";
import type { Settings } from "../framework/flags.ts";
import type { DataDir } from "./data_dir.ts";
import { readEtcdEndpoints } from "./etcd_endpoints.ts";
import { writeEtcdPlace } from "./etcd_place.ts";
import type { InstanceDeps } from "./instance.ts";
import { registerDatabaseMetrics } from "./instance_metrics.ts";

/** An open store. */
export interface InstanceStorage {
  readonly storage: Storage;
  /** True when nothing was in it before. */
  readonly isNew: boolean;
  /** Everything in a store that other servers, ours and kube-apiservers, may have too; undefined for one of its own. */
  readonly contents: StoreContents | undefined;
  /** Aborts when nothing can be written any more until the program is started again. */
  readonly lost: AbortSignal;
}

/** Opens the store of an instance, which adds its metrics to the registry. Throws AppError `storage_locked`, `storage_corrupt`, `unreachable`, `io`. */
export async function openStorage(
  settings: Settings<ServerFlags>,
  dir: DataDir,
  deps: InstanceDeps & { readonly registry: MetricsRegistry },
): Promise<InstanceStorage> {
  if (settings.etcdServers.length > 0) return await openShared(settings, dir, deps);
  const isNew = (await deps.files.stat(dir.database)) === undefined;
  const { clock, logger } = deps;
  const observer = registerDatabaseMetrics(deps.registry, dir.database);
  const lost = new AbortController();
  const onLost = (error: AppError): void => {
    logger.error("the storage is lost, the server ends", { error });
    lost.abort(error);
  };
  const storage = await openSqliteStorage({
    path: dir.database,
    quotaBytes: settings.storageQuota * 1_048_576,
    values: kubeValues(STORED_RESOURCES),
    clock,
    logger,
    observer,
    onLost,
  });
  return { storage, isNew, contents: undefined, lost: lost.signal };
}

async function openShared(
  settings: Settings<ServerFlags>,
  dir: DataDir,
  deps: InstanceDeps & { readonly registry: MetricsRegistry },
): Promise<InstanceStorage> {
  const endpoints = await readEtcdEndpoints(settings, deps);
  // Loaded here, so that an instance with a database of its own does without.
  const { openEtcdStorage } = await import("../../server/storage/etcd/open.ts");
  const { storage, contents } = await openEtcdStorage({
    endpoints,
    values: kubeValues(STORED_RESOURCES, ABSENT_RESOURCES),
    compactionIntervalMs: settings.etcdCompactionInterval,
    clock: deps.clock,
    logger: deps.logger,
    observer: createEtcdMetrics(deps.registry, STORED_RESOURCES),
  });
  try {
    const { items } = await storage.list("/registry/namespaces/", { limit: 1 });
    await writeEtcdPlace(dir, { servers: endpoints.servers, prefix: endpoints.prefix }, deps.files);
    return { storage, isNew: items.length === 0, contents, lost: new AbortController().signal };
  } catch (error) {
    await storage[Symbol.asyncDispose]();
    throw error;
  }
}
