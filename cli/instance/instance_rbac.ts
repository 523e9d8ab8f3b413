/** What `up` grants, and to whom: its own bootstrap group, and to everybody the address and the CA of the instance. */
import { createClusterInfoRbac } from "../../core/bootstrap/cluster_info.ts";
import type { ClusterRole, ClusterRoleBinding } from "../../core/kube/rbac_v1.ts";
import type { BootstrapObject } from "../../server/bootstrap_objects.ts";
import { rbacObject } from "../../server/authz/default_objects.ts";

/** The group of the tokens that `up` makes. */
export const TLSBOOT_GROUP = "system:bootstrappers:tlsboot";

const AUTO_APPROVE_NAME = "tlsboot:node-autoapprove-bootstrap";
const NODE_CLIENT_ROLE = "system:certificates.k8s.io:certificatesigningrequests:nodeclient";
const SELF_NODE_CLIENT_ROLE = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient";

/**
 * Bindings of a new instance: its own group may ask, nodes may renew, everybody may read `cluster-info`. A binding that is
 * deleted later stays deleted.
 */
export function initialBindings(): readonly BootstrapObject[] {
  const readers = createClusterInfoRbac();
  return [
    rbacObject("roles", readers.role),
    rbacObject("rolebindings", readers.roleBinding),
    binding("tlsboot:node-bootstrapper", "system:node-bootstrapper", TLSBOOT_GROUP),
    binding("tlsboot:node-autoapprove-certificate-rotation", SELF_NODE_CLIENT_ROLE, "system:nodes"),
  ];
}

/** The binding of `--auto-approve`: a request of the own group for any node name is approved without a person. */
export function autoApproveBinding(): BootstrapObject {
  return rbacObject("clusterrolebindings", bindingObject(AUTO_APPROVE_NAME, NODE_CLIENT_ROLE, TLSBOOT_GROUP));
}

/** The command that does the same later. */
export const AUTO_APPROVE_COMMAND =
  `kubectl create clusterrolebinding ${AUTO_APPROVE_NAME} --clusterrole=${NODE_CLIENT_ROLE} --group=${TLSBOOT_GROUP}`;

/** What that command posts. */
export const AUTO_APPROVE_BINDING: ClusterRoleBinding = {
  kind: "ClusterRoleBinding",
  apiVersion: "rbac.authorization.k8s.io/v1",
  ...bindingObject(AUTO_APPROVE_NAME, NODE_CLIENT_ROLE, TLSBOOT_GROUP),
};

/** A role with these rules and no others, whatever an earlier start left there. */
export function exactRole(role: ClusterRole): BootstrapObject {
  return {
    ...rbacObject("clusterroles", role),
    plan(existing) {
      // What lies under this key passed the strategy of this very kind.
      const present = existing as ClusterRole;
      if (JSON.stringify(present.rules) === JSON.stringify(role.rules)) return { kind: "none" };
      const mended: ClusterRole = { ...present, rules: role.rules };
      return { kind: "update", object: mended };
    },
  };
}

function binding(name: string, role: string, group: string): BootstrapObject {
  return rbacObject("clusterrolebindings", bindingObject(name, role, group));
}

function bindingObject(name: string, role: string, group: string): ClusterRoleBinding {
  return {
    metadata: { name },
    subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: group }],
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
  };
}
