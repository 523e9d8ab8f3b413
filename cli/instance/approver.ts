/** The approver: over a transport, with or without a policy, and with a policy in `up`. */
import { hostname } from "node:os";
import { createAccessReviewer } from "../../client/objects/access_reviews.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import {
  APPROVER_SUBJECT,
  type ApproverRbac,
  createApproverRbac,
  createTokenRbac,
  EVENT_NAMESPACE,
} from "../../core/approval/rbac.ts";
import { BOOTSTRAP_TOKEN_NAMESPACE } from "../../core/bootstrap/token_secret.ts";
import type { SecretObject } from "../../core/kube/core_v1.ts";
import type { EventV1 } from "../../core/kube/events_v1.ts";
import { clusterRoleKind, eventV1Kind, nodeKind, secretKind } from "../../core/kube/kinds/mod.ts";
import { collectPolicyNeeds } from "../../core/approval/needs.ts";
import { type ReportingNode, splitHosts } from "../../core/approval/node_names.ts";
import type { CsrStore, Transport } from "../../core/ports.ts";
import { createApprover } from "../../controllers/approver.ts";
import { createCsrIndex, createNodeWatch, type EvidenceSources } from "../../controllers/evidence.ts";
import { runController } from "../../controllers/loop.ts";
import { createPolicyApprover, type PolicyApproverDeps } from "../../controllers/policy_approver.ts";
import { createTokenApproval, type TokenApprovalDeps } from "../../controllers/token_approval.ts";
import { createVerdictEvents } from "../../controllers/verdict_events.ts";
import type { ControllerDeps } from "./deps.ts";
import type { ClusterRole } from "../../core/kube/rbac_v1.ts";
import type { Policy } from "../../core/approval/policy.ts";
import { createRbacObject } from "../../server/bootstrap_objects.ts";
import type { BootstrapObject } from "../../server/bootstrap_objects.ts";
import { USER_AGENT } from "../version.ts";
import { CERTIFICATE_CONTROLLER_ACCOUNT, controllerUser, ROOT_USER } from "./in_process_users.ts";
import { exactRole } from "./instance_rbac.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Server } from "../../server/server.ts";
import type { ServerNames } from "../../core/pki/serving_certificate.ts";

/** The settings of an approver, besides the two kubelet client rules of upstream. */
export interface ApproverSettings {
  /** The policies; when absent, only the two rules apply. */
  readonly policy?: {
    readonly settings: PolicyApproverDeps["settings"];
    readonly serverNames: EvidenceSources["serverNames"];
  };
  /** How the limits of bootstrap tokens are enforced; when absent, they are not. */
  readonly tokens?: Pick<TokenApprovalDeps, "isCheckedAtCreation">;
  readonly isDryRun: boolean;
}

/** The settings for an API server of tlsboot in the same process, without a policy. */
export const IN_PROCESS_RULES: ApproverSettings = { isDryRun: false, tokens: { isCheckedAtCreation: true } };

/** Runs the approver until the signal aborts. */
export function runApprover(
  store: CsrStore,
  transport: Transport,
  settings: ApproverSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { policy: chosen, tokens, isDryRun } = settings;
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
  const secrets = createObjectStore<SecretObject>(transport, secretKind, {
    ...deps,
    namespace: BOOTSTRAP_TOKEN_NAMESPACE,
  });
  const approver = createApprover({
    store,
    reviewer,
    logger,
    ...(policy === undefined ? {} : { policy }),
    ...(tokens === undefined ? {} : { tokens: createTokenApproval({ ...tokens, secrets, logger, isDryRun }) }),
    ...(isDryRun ? { dryRun: { events } } : {}),
  });
  const triggers = policy?.triggers ?? [];
  // Only policies need the index.
  const followed = policy === undefined ? store : index;
  return runController({ name: "approver", store: followed, triggers, ...approver, ...deps }, signal);
}

/**
 * Creates the role and the bindings of an approver with a policy, for the start of the server. Rights that no policy needs
 * any longer are removed.
 */
export function approverObjects(policies: readonly Policy[]): readonly BootstrapObject[] {
  const { clusterRole, clusterRoleBinding, roles, roleBindings } = createRbac(policies);
  return [
    exactRole(clusterRole.object),
    createRbacObject("clusterrolebindings", clusterRoleBinding),
    ...roles.map(({ object }) => createRbacObject("roles", object)),
    ...roleBindings.map((object) => createRbacObject("rolebindings", object)),
  ];
}

/**
 * Creates the role and the binding by which the approver of `up` reads and binds tokens. Without a policy it is the
 * certificate controller, whose other rights are Kubernetes' own.
 */
export function tokenApproverObjects(hasPolicy: boolean): readonly BootstrapObject[] {
  const subject = hasPolicy ? APPROVER_SUBJECT : { ...APPROVER_SUBJECT, name: CERTIFICATE_CONTROLLER_ACCOUNT };
  const { role, roleBinding } = createTokenRbac(subject);
  return [createRbacObject("roles", role), createRbacObject("rolebindings", roleBinding)];
}

/** The approver of `up` with a policy: a separate service account, with the rights that the policy needs. */
export interface PolicyApproval {
  readonly user: UserInfo;
  readonly settings: ApproverSettings;
}

/** Creates the settings of that approver. When a policy changes, the rights of its role follow it. */
export function createPolicyApproval(
  instance: { readonly server: Pick<Server, "transportFor">; readonly names: ServerNames },
  policies: PolicyApproverDeps["settings"],
  deps: ControllerDeps,
): PolicyApproval {
  const roles = createObjectStore<ClusterRole>(
    instance.server.transportFor(ROOT_USER, `${USER_AGENT} up`),
    clusterRoleKind,
    deps,
  );
  const names = splitHosts([...instance.names.dnsNames, ...instance.names.ipAddresses]);
  return {
    user: controllerUser(APPROVER_SUBJECT.name),
    settings: {
      ...IN_PROCESS_RULES,
      policy: {
        serverNames: () => Promise.resolve(names),
        settings: {
          current: policies.current,
          async *changes(signal) {
            for await (const change of policies.changes(signal)) {
              await grant(roles, policies.current().policies, signal);
              yield change;
            }
          },
        },
      },
    },
  };
}

async function grant(
  roles: Pick<ReturnType<typeof createObjectStore<ClusterRole>>, "get" | "update">,
  policies: readonly Policy[],
  signal: AbortSignal,
): Promise<void> {
  const { object } = createRbac(policies).clusterRole;
  const existing = await roles.get(object.metadata.name ?? "", signal);
  if (existing !== undefined) await roles.update({ ...existing, rules: object.rules }, signal);
}

function createRbac(policies: readonly Policy[]): ApproverRbac {
  return createApproverRbac({
    needs: collectPolicyNeeds(policies),
    events: true,
    dryRun: false,
    tokens: false,
    leaseNamespace: undefined,
  });
}
