/** The approver over a transport, with or without a policy. */
import { hostname } from "node:os";
import { createAccessReviewer } from "../../client/objects/access_reviews.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { EVENT_NAMESPACE } from "../../core/approval/rbac.ts";
import type { EventV1 } from "../../core/kube/events_v1.ts";
import { eventV1Kind, nodeKind } from "../../core/kube/kinds/mod.ts";
import { collectPolicyNeeds } from "../../core/approval/needs.ts";
import type { ReportingNode } from "../../core/approval/node_names.ts";
import type { CsrStore, Transport } from "../../core/ports.ts";
import { createApprover } from "../../controllers/approver.ts";
import { createCsrIndex, createNodeWatch, type EvidenceSources } from "../../controllers/evidence.ts";
import { runController } from "../../controllers/loop.ts";
import { createPolicyApprover, type PolicyApproverDeps } from "../../controllers/policy_approver.ts";
import { createVerdictEvents } from "../../controllers/verdict_events.ts";
import type { ControllerDeps } from "./deps.ts";

/** The settings of an approver, besides the two kubelet client rules of upstream. */
export interface ApproverSettings {
  /** The policies; when absent, only the two rules apply. */
  readonly policy?: {
    readonly settings: PolicyApproverDeps["settings"];
    readonly serverNames: EvidenceSources["serverNames"];
  };
  readonly isDryRun: boolean;
}

/** The settings for only the two rules. */
export const UPSTREAM_RULES: ApproverSettings = { isDryRun: false };

/** Runs the approver until the signal aborts. */
export function runApprover(
  store: CsrStore,
  transport: Transport,
  settings: ApproverSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { policy: chosen, isDryRun } = settings;
  const { clock, random, logger } = deps;
  const reviewer = createAccessReviewer(transport, deps);
  const index = createCsrIndex(store);
  const eventStore = createObjectStore<EventV1>(transport, eventV1Kind, { ...deps, namespace: EVENT_NAMESPACE });
  const events = createVerdictEvents({ store: eventStore, instance: hostname(), clock, random, logger });
  const policy = chosen === undefined ? undefined : createPolicyApprover({
    store,
    index,
    nodes: createNodeWatch({
      nodes: (onFailure) => createObjectStore<ReportingNode>(transport, nodeKind, { ...deps, onFailure }),
      isNeeded: () => collectPolicyNeeds(chosen.settings.current().policies).nodes,
      clock,
    }),
    sources: { reviewer, serverNames: chosen.serverNames, clock },
    settings: chosen.settings,
    events,
    logger,
    isDryRun,
  });
  const approver = createApprover({
    store,
    reviewer,
    logger,
    ...(policy === undefined ? {} : { policy }),
    ...(isDryRun ? { dryRun: { events } } : {}),
  });
  const triggers = policy?.triggers ?? [];
  // Only policies need the index.
  const followed = policy === undefined ? store : index;
  return runController({ name: "approver", store: followed, triggers, ...approver, ...deps }, signal);
}
