/**
 * Compacts, every five minutes, the history of etcd that is older than five minutes. All servers of an etcd try it,
 * kube-apiservers too, and the version of one key decides which one does (`apiserver/pkg/storage/etcd3/compact.go`).
 */
import { getErrorMessage } from "../../../core/errors.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import type { EtcdClient } from "./client.ts";

/** The key that kube-apiserver uses to coordinate compaction. */
const COMPACT_KEY = "compact_rev_key";

/** The dependencies of a compactor; the interval is in milliseconds. */
export interface CompactorDeps {
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly intervalMs: number;
}

/** Runs until the signal aborts; a failure is logged, and the next interval tries again. */
export async function runCompactor(
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
  const answer = await client.write({
    key: COMPACT_KEY,
    guard: { version },
    value: new TextEncoder().encode(String(revision)),
  });
  // Another server was faster in this interval.
  if (!answer.succeeded) return { version: answer.current?.version ?? 0, revision: answer.revision };
  if (revision > 0) await client.compact(revision);
  return { version: version + 1, revision: answer.revision };
}
