/**
 * Publishes the CAs of a signer as a ClusterTrustBundle, and keeps it current
 * (`pkg/controller/certificates/clustertrustbundlepublisher/publisher.go`).
 */
import { isAppError } from "../../core/errors.ts";
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import type { Clock, Logger, ObjectStore, Random } from "../../core/ports.ts";
import { planTrustBundles, type TrustBundleContent } from "../../core/signing/cluster_trust_bundle.ts";
import { CONTROLLER_MANAGER_WAIT_MS, type ControllerManager } from "../engine/leader_election.ts";
import {
  type ControllerObserver,
  createManualTrigger,
  DONE,
  type Outcome,
  runController,
  sleepOrAbort,
} from "../engine/loop.ts";

/** The bundle to publish, and the API that gets it. */
interface TrustBundlePublisherOptions {
  /** The bundles of the API; those of other signers are ignored. */
  readonly store: Pick<ObjectStore<ClusterTrustBundle>, "changes" | "list" | "create" | "update" | "delete">;
  readonly signerName: string;
  /**
   * Returns annotations and the certificates (PEM) that verify those of the signer. It is called every two seconds, to
   * detect changes.
   */
  readonly content: () => Promise<TrustBundleContent>;
  /** Returns how long earlier bundles are kept, in milliseconds; by default they are deleted at once, as upstream. */
  readonly keepMs?: () => Promise<number>;
  /** While it is active, nothing is written: kube-controller-manager and this publisher would delete each other's bundle. */
  readonly controllerManager?: ControllerManager;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics?: ControllerObserver;
}

/** How often the certificates are compared with the published ones. */
const FOLLOW_INTERVAL_MS = 2_000;

/** Publishes the bundle until the signal aborts; earlier bundles of the signer are deleted at once, or after `keepMs`. */
export async function runTrustBundlePublisher(
  options: TrustBundlePublisherOptions,
  signal: AbortSignal,
): Promise<void> {
  const { store, signerName, content, keepMs, controllerManager, clock, logger } = options;
  const changed = createManualTrigger();
  let isStart = true;

  async function reconcile(_name: string, _bundle: unknown, stop: AbortSignal): Promise<Outcome> {
    const current = await content();
    const existing = await store.list(stop);
    const { write, deletions, keptForMs } = planTrustBundles(
      signerName,
      current,
      existing,
      clock.now(),
      await keepMs?.(),
    );
    const outcome: Outcome = keptForMs === undefined ? DONE : { kind: "requeueAfter", ms: keptForMs };
    if (write === undefined && deletions.length === 0) return outcome;
    if (await controllerManager?.isActive(stop)) return { kind: "requeueAfter", ms: CONTROLLER_MANAGER_WAIT_MS };
    if (write !== undefined) {
      await store[write.verb](write.bundle, stop);
      // At the start no certificate has changed; only the bundle is new.
      logger[isStart ? "debug" : "info"]("trust bundle published", { signerName, bundle: getName(write.bundle) });
    }
    isStart = false;
    for (const old of deletions) {
      try {
        await store.delete(getName(old), stop);
      } catch (error) {
        if (!isAppError(error, "not_found")) throw error;
      }
    }
    return outcome;
  }

  async function follow(): Promise<void> {
    let known: string | undefined;
    while (!signal.aborted) {
      const current = JSON.stringify(await content());
      if (current !== known) changed.fire([signerName]);
      known = current;
      await sleepOrAbort(clock, FOLLOW_INTERVAL_MS, signal);
    }
  }

  await Promise.all([
    runController<ClusterTrustBundle>({
      ...options,
      name: "trust-bundle-publisher",
      triggers: [changed],
      // All bundles of the signer are one task.
      workers: 1,
      concerns: ({ spec }) => spec.signerName === signerName,
      reconcile,
    }, signal),
    follow(),
  ]);
}
