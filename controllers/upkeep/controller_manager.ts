/**
 * Detects a kube-controller-manager that works on the same objects. Controllers that know fewer kinds, or that would
 * contradict it, pause while it is active.
 */
import type { Clock, LeaseStore } from "../../core/ports.ts";
import { isHeldAt, type ObservedLease, observeLease } from "../engine/leader_election.ts";

/** Where kube-controller-manager elects its leader (`--leader-elect-resource-namespace`, `--leader-elect-resource-name`). */
const LEASE_NAME = "kube-controller-manager";

/**
 * How long a controller stays paused before it checks the Lease again: without a renewal, the Lease expires after 15 s.
 */
export const CONTROLLER_MANAGER_WAIT_MS = 15_000;

/** Reports whether a kube-controller-manager is active. */
export interface ControllerManager {
  /**
   * True while a kube-controller-manager holds and renews the Lease. An instance that runs with `--leader-elect=false`
   * is not detected.
   */
  isActive(signal: AbortSignal): Promise<boolean>;
}

/**
 * Watches the Lease of kube-controller-manager in `kube-system`. Its times are compared with our own clock only, as
 * client-go does: a Lease that has just been seen for the first time counts as held for its whole duration.
 */
export function createControllerManager(
  leases: Pick<LeaseStore, "get">,
  clock: Pick<Clock, "elapsedMs">,
): ControllerManager {
  let observed: ObservedLease | undefined;
  return {
    async isActive(signal) {
      const lease = await leases.get(LEASE_NAME, signal);
      if (lease === undefined) return false;
      observed = observeLease(observed, lease, clock.elapsedMs());
      return isHeldAt(observed, clock.elapsedMs());
    },
  };
}
