/**
 * Lets etcd forget, every five minutes, what is older than five minutes. All servers of an etcd try, kube-apiservers
 * too; the version of one key decides who does it (kube-apiserver's own key and rule).
 */
import { getErrorMessage } from "../../../core/errors.ts";
import type { Clock, Logger } from "../../../core/ports.ts";
import type { EtcdClient } from "./client.ts";

/** kube-apiserver's key. */
const COMPACT_KEY = "compact_rev_key";

/** What a compactor needs; the interval in milliseconds. */
export interface CompactorDeps {
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly intervalMs: number;
}

/** Runs until aborted; failures are logged and tried again at the next turn. */
export async function runCompactor(
  { client, clock, logger, intervalMs }: CompactorDeps,
  signal: AbortSignal,
): Promise<void> {
  /** The key's version as last seen, and the revision of that moment: what is older than an interval next time. */
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
  // Somebody else was faster in this interval.
  if (!answer.succeeded) return { version: answer.current?.version ?? 0, revision: answer.revision };
  if (revision > 0) await client.compact(revision);
  return { version: version + 1, revision: answer.revision };
}
