/** Follows the ClusterTrustBundles of a cluster, and reconnects when the connection fails. */
import { type AppError, isAppError } from "../../core/errors.ts";
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { clusterTrustBundleKind, trustReportKind } from "../../core/kube/kinds/mod.ts";
import { getName } from "../../core/kube/meta.ts";
import { isRecord } from "../../core/lib/record.ts";
import { formatCollectionPath } from "../../core/kube/schema.ts";
import type { Clock, Logger, Random, Transport } from "../../core/ports.ts";
import { createTrustReport } from "../../core/ca_rotation/trust.ts";
import { keepFresh } from "../keep_fresh.ts";
import { createApiClient } from "./api.ts";
import { createObjectStore, reconnectDelayMs } from "./object_store.ts";

/** Returns the certificates in a bundle, PEM; empty when the server has sent something else. */
export function getTrustBundlePem(bundle: ClusterTrustBundle): string {
  const spec: unknown = bundle.spec;
  const pem = isRecord(spec) ? spec["trustBundle"] : undefined;
  return typeof pem === "string" ? pem : "";
}

/**
 * What to do after the bundles were received: `follow` them over the same connection, `reconnect` to use the stored
 * ones, or `retry` because they cannot be used yet: follow them, and connect again after 30 to 60 seconds unless they
 * change.
 */
export type TrustBundleOutcome = "follow" | "reconnect" | "retry";

const RETRY_AFTER_MS = 30_000;

/** The bundles to follow, and the adapters. */
export interface TrustBundleFollower {
  /** Opens a connection. It is called again after a failure, so that new credentials and CAs take effect. */
  readonly connect: () => Promise<Transport & AsyncDisposable>;
  /** The selectors of the bundles. */
  readonly selectors: { readonly fieldSelector: string; readonly labelSelector?: string | undefined };
  /**
   * Receives all selected bundles, first when they are known and then after each change, and decides what to do next.
   */
  readonly onBundles: (
    bundles: readonly ClusterTrustBundle[],
    transport: Transport,
    signal: AbortSignal,
  ) => Promise<TrustBundleOutcome>;
  /**
   * Receives each failure of a connection, and of `onBundles`. `hasAnswered` is true once the API has answered with the
   * bundles. When it throws, the follower ends; a number is the pause until the next try, in milliseconds.
   */
  readonly onFailure: (error: AppError, hasAnswered: boolean) => number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

interface FollowState {
  hasAnswered: boolean;
  /** The number of connections since `onBundles` last succeeded. */
  connections: number;
}

/** Follows the bundles until the signal aborts, or `onFailure` throws. */
export async function followTrustBundles(options: TrustBundleFollower, signal: AbortSignal): Promise<never> {
  const { clock, random } = options;
  const state: FollowState = { hasAnswered: false, connections: 0 };
  // `reconnect` pauses too, because all machines of a cluster reconnect after the same change.
  const pause = (ms = reconnectDelayMs(state.connections++, () => random.float())) => ({ kind: "pause", ms }) as const;
  return await keepFresh({
    clock,
    async step(signal) {
      await using transport = await options.connect();
      await follow(transport, state, options, signal);
      return pause();
    },
    onFailure: (error) => pause(options.onFailure(error, state.hasAnswered)),
  }, signal);
}

/** Passes the bundles on until the connection fails or has to be replaced. */
async function follow(
  transport: Transport,
  state: FollowState,
  options: TrustBundleFollower,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random } = options;
  let isSynced = false;
  const { changes } = createObjectStore<ClusterTrustBundle>(transport, clusterTrustBundleKind, {
    ...options.selectors,
    ...options,
    onFailure(error) {
      const isFinal = isSynced ? isAppError(error, "unauthorized", "tls_untrusted") : !error.retryable;
      if (isFinal) throw error;
    },
  });
  const bundles = new Map<string, ClusterTrustBundle>();
  const retry = new AbortController();
  let waiting = new AbortController();
  try {
    for await (const change of changes(AbortSignal.any([signal, retry.signal]))) {
      if (change.kind === "changed") bundles.set(getName(change.object), change.object);
      else if (change.kind === "deleted") bundles.delete(getName(change.object));
      else {
        isSynced = true;
        state.hasAnswered = true;
      }
      if (!isSynced) continue;
      waiting.abort();
      const outcome = await options.onBundles([...bundles.values()], transport, signal);
      state.connections = 0;
      if (outcome === "reconnect") return;
      if (outcome === "follow") continue;
      waiting = new AbortController();
      clock.sleep(RETRY_AFTER_MS * (1 + random.float()), waiting.signal).then(() => retry.abort(), () => {});
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!retry.signal.aborted) throw error;
  } finally {
    waiting.abort();
  }
}

/**
 * Reports to the cluster which CAs the user of a connection trusts, by the SHA-256 (hex) of each certificate, for the
 * census of a CA rotation. Does nothing in clusters that accept no reports, such as those of kube-apiserver.
 */
export async function reportTrust(
  transport: Transport,
  fingerprints: readonly string[],
  { clock }: { readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const path = formatCollectionPath(trustReportKind);
  try {
    const body = createTrustReport(fingerprints);
    await createApiClient(transport, { clock }).requestJson({ method: "POST", path, body }, signal);
  } catch (error) {
    if (!isAppError(error, "not_found", "access_denied")) throw error;
  }
}
