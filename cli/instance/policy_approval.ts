/** The approver of `up` with a policy: a separate service account, with the rights that the policy needs. */
import { createObjectStore } from "../../client/objects/object_store.ts";
import { APPROVER_SUBJECT, type ApproverRbac, createApproverRbac } from "../../core/approval/rbac.ts";
import { clusterRoleKind } from "../../core/kube/kinds/mod.ts";
import type { ClusterRole } from "../../core/kube/rbac_v1.ts";
import { collectPolicyNeeds } from "../../core/approval/needs.ts";
import { splitHosts } from "../../core/approval/node_names.ts";
import type { Policy } from "../../core/approval/policy.ts";
import { rbacObject } from "../../server/authz/default_objects.ts";
import type { BootstrapObject } from "../../server/bootstrap_objects.ts";
import type { PolicyApproverDeps } from "../../controllers/policy_approver.ts";
import { USER_AGENT } from "../user_agent.ts";
import { ROOT_USER } from "./control_plane.ts";
import type { InProcessSettings } from "./controllers.ts";
import type { ControllerDeps } from "./deps.ts";
import { controllerUser } from "./in_process_users.ts";
import { exactRole } from "./instance_rbac.ts";
import type { Instance } from "./instance.ts";

/** Creates its role and bindings, for the start of the server. Rights that a policy no longer needs are removed. */
export function approverObjects(policies: readonly Policy[]): readonly BootstrapObject[] {
  const { clusterRole, clusterRoleBinding, roles, roleBindings } = createRbac(policies);
  return [
    exactRole(clusterRole.object),
    rbacObject("clusterrolebindings", clusterRoleBinding),
    ...roles.map(({ object }) => rbacObject("roles", object)),
    ...roleBindings.map((object) => rbacObject("rolebindings", object)),
  ];
}

/** Creates the settings of the approver. When a policy changes, the rights of the role follow it. */
export function createPolicyApproval(
  instance: Instance,
  policies: PolicyApproverDeps["settings"],
  deps: ControllerDeps,
): NonNullable<InProcessSettings["approval"]> {
  const roles = createObjectStore<ClusterRole>(
    instance.server.transportFor(ROOT_USER, `${USER_AGENT} up`),
    clusterRoleKind,
    deps,
  );
  const names = splitHosts([...instance.names.dnsNames, ...instance.names.ipAddresses]);
  return {
    user: controllerUser(APPROVER_SUBJECT.name),
    settings: {
      isDryRun: false,
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
    leaseNamespace: undefined,
  });
}
