/** Opens a store on an etcd (3.5.13 and later), which other tlsboot servers and kube-apiservers may share, and compacts it. */
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import { EtcdClient, type EtcdClientParts, type EtcdEndpoints, type EtcdObserver } from "./client.ts";
import { assertReleases } from "./errors.ts";
import { assertNotRestoring } from "./restore_marker.ts";
import { EventLeases } from "./leases.ts";
import { EtcdMirror } from "./mirror.ts";
import { EtcdStorage } from "./storage.ts";
import { DEFAULT_STORAGE_TIMES, type StorageTimes } from "../memory/journaled_storage.ts";
import { createStoreContents, type StoreContents, type StoredValues } from "./contents.ts";
import type { Storage } from "../storage.ts";

export type { EtcdEndpoints };

/** The options of a store on etcd; times in milliseconds. */
export interface EtcdStorageDeps extends Partial<StorageTimes>, Pick<EtcdClientParts, "members"> {
  readonly endpoints: EtcdEndpoints;
  readonly values: StoredValues;
  readonly clock: Clock;
  readonly logger?: Logger;
  readonly observer?: EtcdObserver;
  /** The time between two compactions; with 0 other servers must compact. */
  readonly compactionIntervalMs?: number;
}

/** A store on etcd, and access to everything in etcd. */
export interface OpenEtcd {
  readonly storage: Storage;
  readonly contents: StoreContents;
}

/** Opens a store. Throws AppError `unreachable`, `io`, or `storage_corrupt` while a restore is not finished. */
export async function openEtcdStorage(deps: EtcdStorageDeps): Promise<OpenEtcd> {
  const { endpoints, values, clock, logger, observer } = deps;
  const { historyMs, eventTtlMs } = { ...DEFAULT_STORAGE_TIMES, ...deps };
  const { compactionIntervalMs = historyMs } = deps;
  if (endpoints.servers.length === 0) throw new AppError("usage", "cannot use etcd: no server is named");
  const client = new EtcdClient(
    endpoints,
    observer === undefined ? undefined : { observer, nowMs: () => clock.elapsedMs() },
    deps,
  );
  try {
    assertReleases(await client.statuses());
    await assertNotRestoring(client, endpoints.prefix);
    const mirror = await EtcdMirror.open({ client, values, clock, logger, observer, historyMs });
    const stopping = new AbortController();
    const compactor = compactionIntervalMs === 0
      ? Promise.resolve()
      : runCompactor({ client, clock, logger, intervalMs: compactionIntervalMs }, stopping.signal);
    const storage = new EtcdStorage({
      name: endpoints.servers.join(","),
      client,
      mirror,
      leases: new EventLeases(client, clock, eventTtlMs),
      clock,
      values,
      async stop() {
        stopping.abort(new Error("storage is closing"));
        await compactor;
      },
    });
    return { storage, contents: createStoreContents(client, values.root) };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** The key that kube-apiserver uses to coordinate compaction. */
const COMPACT_KEY = "compact_rev_key";

/** The dependencies of a compactor; the interval is in milliseconds. */
interface CompactorDeps {
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly intervalMs: number;
}

/**
 * Compacts, every five minutes, the history of etcd that is older than five minutes. All servers of an etcd try it,
 * kube-apiservers too, and the version of one key decides which one does (`apiserver/pkg/storage/etcd3/compact.go`). Runs
 * until the signal aborts; a failure is logged, and the next interval tries again.
 */
async function runCompactor(
  { client, clock, logger, intervalMs }: CompactorDeps,
  signal: AbortSignal,
): Promise<void> {
  /** The key's last seen version, and the revision at that time, which is compacted after the next interval. */
  let seen = { version: 0, revision: 0 };
  while (!signal.aborted) {
    try {
      await clock.sleep(intervalMs, signal);
      seen = await compactOnce(client, seen);
    } catch (error) {
      if (!signal.aborted) logger?.warn("cannot compact etcd", { error: getErrorMessage(error) });
    }
  }
}

async function compactOnce(
  client: EtcdClient,
  { version, revision }: { readonly version: number; readonly revision: number },
): Promise<{ readonly version: number; readonly revision: number }> {
  const answer = await client.write([{
    key: COMPACT_KEY,
    guard: { version },
    value: new TextEncoder().encode(String(revision)),
  }]);
  // Another server was faster in this interval.
  if (!answer.succeeded) return { version: answer.current[0]?.version ?? 0, revision: answer.revision };
  if (revision > 0) await client.compact(revision);
  return { version: version + 1, revision: answer.revision };
}
