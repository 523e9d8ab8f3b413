/**
 * Keeps the rules of aggregated ClusterRoles up to date (`pkg/controller/clusterroleaggregation`): such a role grants the
 * rules of all roles that its `aggregationRule` selects.
 */
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import { getName } from "../../core/kube/meta.ts";
import type { ClusterRole } from "../../core/kube/kinds/rbac_v1.ts";
import type { Clock, Logger, ObjectChange, ObjectStore } from "../../core/ports.ts";
import { planAggregation } from "../../core/rbac/reconcile.ts";
import { backoffMs, sleepOrAbort } from "../engine/queue.ts";

export interface AggregationDeps {
  readonly store: ObjectStore<ClusterRole>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Runs until the signal aborts, then resolves. Every role can affect every other, so each change replans all of them. */
export async function runAggregation(deps: AggregationDeps, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      await follow(deps, signal, () => failures = 0);
    } catch (error) {
      if (signal.aborted) return;
      deps.logger.error("aggregation of cluster roles failed, starting it again", { error: getErrorMessage(error) });
      await sleepOrAbort(deps.clock, backoffMs(failures), signal);
    }
  }
}

async function follow(deps: AggregationDeps, signal: AbortSignal, onProgress: () => void): Promise<void> {
  const roles = new Map<string, ClusterRole>();
  let isSynced = false;
  for await (const change of deps.store.changes(signal)) {
    isSynced ||= change.kind === "synced";
    apply(roles, change);
    if (!isSynced) continue;
    for (const role of planAggregation([...roles.values()])) await write(deps, role, signal);
    onProgress();
  }
}

function apply(roles: Map<string, ClusterRole>, change: ObjectChange<ClusterRole>): void {
  if (change.kind === "changed") roles.set(getName(change.object), change.object);
  if (change.kind === "deleted") roles.delete(getName(change.object));
}

/** Writes a role. A conflict or a missing role is ignored, because the change behind it triggers the next plan. */
async function write({ store, logger }: AggregationDeps, role: ClusterRole, signal: AbortSignal): Promise<void> {
  try {
    await store.update(role, signal);
    logger.debug("cluster role aggregated", { clusterRole: getName(role), rules: role.rules?.length ?? 0 });
  } catch (error) {
    if (!isAppError(error, "conflict", "not_found")) throw error;
  }
}
