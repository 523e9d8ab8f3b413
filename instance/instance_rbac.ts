/**
 * The users inside the process of an instance, and the rights that `up` grants. Each controller has a service account,
 * as with kube-controller-manager's `--use-service-account-credentials`. Rights are granted to the bootstrap group,
 * nodes and custom signers, and to all users for `cluster-info`.
 */
import { SYSTEM_NAMESPACE } from "../core/kube/meta.ts";
import {
  ANONYMOUS_USER,
  AUTHENTICATED_GROUP,
  listAccountGroups,
  MASTERS_GROUP,
  toAccountUsername,
  type UserInfo,
} from "../core/kube/user.ts";
import { formatGrantCommand, KUBELET_GRANTS } from "../core/approval/approver_rbac.ts";
import { createClusterInfoRbac } from "../core/token/cluster_info.ts";
import { TLSBOOT_GROUP } from "../core/kube/kinds/constants.ts";
import { nodeAttestationKind } from "../core/kube/kinds/node_attestation.ts";
import { READ_VERBS } from "../server/registry/mod.ts";
import type { ClusterRole, ClusterRoleBinding } from "../core/kube/kinds/rbac_v1.ts";
import { type BootstrapObject, createRbacObject } from "../server/bootstrap_objects.ts";
import { bindRole, toAccountSubject, toGroupSubject, toUserSubject } from "../core/rbac/manifest.ts";
import { signerClusterRole } from "../core/signing/signer_rbac.ts";
import { UP_TOKEN_GROUP } from "../core/token/token_options.ts";

/** Returns the service account of a controller in kube-system. */
export function controllerUser(name: string): UserInfo {
  return {
    username: toAccountUsername(SYSTEM_NAMESPACE, name),
    uid: "",
    groups: [...listAccountGroups(SYSTEM_NAMESPACE), AUTHENTICATED_GROUP],
    extra: {},
  };
}

/** The user of watches that several controllers share. */
export const CONTROLLER_MANAGER: UserInfo = {
  username: "system:kube-controller-manager",
  uid: "",
  groups: [AUTHENTICATED_GROUP],
  extra: {},
};

/** The name of the service account that signs, cleans and, without a policy, approves. */
export const CERTIFICATE_CONTROLLER_ACCOUNT = "certificate-controller";

/** The name of the service account of the custom signers of `up`. */
const CUSTOM_SIGNER_ACCOUNT = "tlsboot-custom-signer";

/** The name of the service account that settles the open requests of revoked users. */
export const REVOCATION_CONTROLLER_ACCOUNT = "tlsboot-revocation-controller";

/** The user of the composition root, for the objects that it maintains. */
export const ROOT_USER: UserInfo = {
  username: "system:apiserver",
  uid: "",
  groups: [MASTERS_GROUP, AUTHENTICATED_GROUP],
  extra: {},
};

/** The user of the custom signers of `up`. */
export const CUSTOM_SIGNER: UserInfo = controllerUser(CUSTOM_SIGNER_ACCOUNT);

const CUSTOM_SIGNER_ROLE = "tlsboot:custom-signer";
const { role: NODE_CLIENT_ROLE, binding: AUTO_APPROVE_NAME } = KUBELET_GRANTS.nodeclient;

/**
 * Creates the bindings of a new instance: its bootstrap group may create CSRs, nodes may renew, all users may read
 * `cluster-info`. A binding that is deleted later stays deleted.
 */
export function initialBindings(): readonly BootstrapObject[] {
  const readers = createClusterInfoRbac();
  return [
    createRbacObject("roles", readers.role),
    createRbacObject("rolebindings", readers.roleBinding),
    binding("tlsboot:node-bootstrapper", "system:node-bootstrapper", UP_TOKEN_GROUP),
    binding(KUBELET_GRANTS.selfnodeclient.binding, KUBELET_GRANTS.selfnodeclient.role, "system:nodes"),
  ];
}

/**
 * The role for users who may see which certificates were issued and revoked. No default role of Kubernetes includes
 * these rights, because the register has every user with addresses, and `view` is given to users who must see only
 * their namespaces.
 */
export const CERTIFICATE_VIEWER_ROLE: ClusterRole = {
  metadata: { name: "tlsboot:certificate-viewer" },
  rules: [{
    verbs: READ_VERBS,
    apiGroups: [TLSBOOT_GROUP],
    resources: ["issuedcertificates", "requestrecords", "revocations"],
  }],
};

/** Creates the roles that exist after every start, for administrators to bind. */
export function offeredRoles(): readonly BootstrapObject[] {
  return [createRbacObject("clusterroles", CERTIFICATE_VIEWER_ROLE)];
}

const TRUST_FOLLOWER_ROLE = "tlsboot:trust-follower";

/**
 * Creates the role that every user has while a CA is being replaced: it allows reading the CAs of the API server and
 * their rotation, and reporting which of them the user trusts. The server names a report after its user. An instance
 * that has never replaced a CA does not have it, so that users have the permissions that they have in a cluster.
 */
export function trustFollowerObjects(): readonly BootstrapObject[] {
  const rules = [
    { verbs: READ_VERBS, apiGroups: [TLSBOOT_GROUP], resources: ["carotations"] },
    { verbs: ["create"], apiGroups: [TLSBOOT_GROUP], resources: ["trustreports"] },
    { verbs: READ_VERBS, apiGroups: ["certificates.k8s.io"], resources: ["clustertrustbundles"] },
  ];
  return [
    createRbacObject("clusterroles", { metadata: { name: TRUST_FOLLOWER_ROLE }, rules }),
    binding(TRUST_FOLLOWER_ROLE, TRUST_FOLLOWER_ROLE, AUTHENTICATED_GROUP),
  ];
}

const ATTESTER_ROLE = "tlsboot:node-attester";

/**
 * Creates the role and the binding that let a machine without a credential exchange a proof of its identity for a
 * token, while the inventory lists a proof.
 */
export function attesterObjects(): readonly BootstrapObject[] {
  const role: ClusterRole = {
    metadata: { name: ATTESTER_ROLE },
    rules: [{ verbs: ["create"], apiGroups: [TLSBOOT_GROUP], resources: [nodeAttestationKind.plural] }],
  };
  return [
    createRbacObject("clusterroles", role),
    createRbacObject("clusterrolebindings", bindRole(role, toUserSubject(ANONYMOUS_USER))),
  ];
}

/** Creates the binding of `autoApprove`: requests of the bootstrap group are approved for any node name. */
export function autoApproveBinding(): BootstrapObject {
  return binding(AUTO_APPROVE_NAME, NODE_CLIENT_ROLE, UP_TOKEN_GROUP);
}

/** The command that creates the same binding later. */
export const AUTO_APPROVE_COMMAND = formatGrantCommand("nodeclient", { kind: "group", name: UP_TOKEN_GROUP });

/** The object that this command posts. */
export const AUTO_APPROVE_BINDING: ClusterRoleBinding = {
  kind: "ClusterRoleBinding",
  apiVersion: "rbac.authorization.k8s.io/v1",
  ...bindingObject(AUTO_APPROVE_NAME, NODE_CLIENT_ROLE, UP_TOKEN_GROUP),
};

/**
 * Creates the role and the binding of the custom signers, for the start of the server. The rights for a removed
 * signer name are removed too.
 */
export function customSignerObjects(signerNames: readonly string[]): readonly BootstrapObject[] {
  if (signerNames.length === 0) return [];
  const role = signerClusterRole(CUSTOM_SIGNER_ROLE, signerNames);
  return [
    exactRole(role),
    createRbacObject("clusterrolebindings", bindRole(role, toAccountSubject(CUSTOM_SIGNER_ACCOUNT))),
  ];
}

/** Creates a role with exactly these rules, even when an earlier start stored others. */
export function exactRole(role: ClusterRole): BootstrapObject {
  return {
    ...createRbacObject("clusterroles", role),
    plan(existing) {
      // The object under this key was validated as a ClusterRole.
      const present = existing as ClusterRole;
      if (JSON.stringify(present.rules) === JSON.stringify(role.rules)) return { kind: "none" };
      const updated: ClusterRole = { ...present, rules: role.rules };
      return { kind: "update", object: updated };
    },
  };
}

function binding(name: string, role: string, group: string): BootstrapObject {
  return createRbacObject("clusterrolebindings", bindingObject(name, role, group));
}

function bindingObject(name: string, role: string, group: string): ClusterRoleBinding {
  return bindRole({ metadata: { name: role } }, toGroupSubject(group), name);
}
