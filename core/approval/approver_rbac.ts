/**
 * The permissions that an approver needs at an API server. `--print-rbac`, `docs/rbac/approver.yaml` and the approver that
 * `up` runs share them.
 */
import { usesNodeReports } from "./evidence/ownership.ts";
import type { Policy } from "./policy.ts";
import { PUBLISHED_SETTINGS } from "./published.ts";
import { CERTIFICATES_GROUP, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/kinds/certificates_v1.ts";
import {
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
  serviceAccountKind,
} from "../kube/kinds/mod.ts";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from "../kube/kinds/rbac_v1.ts";
import { TLSBOOT_GROUP } from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { KubeObject } from "../kube/meta.ts";
import { shellWord } from "../lib/shell_word.ts";
import { boundTo, LEASE_COMMENT, leaseRules, type ManifestPart, manifestPart } from "../rbac/manifest.ts";

/** The options of an approver that determine its permissions. */
export interface ApproverRbacOptions {
  readonly needs: PolicyNeeds;
  /** Whether the approver only reports what it would do. */
  readonly dryRun: boolean;
  /** Whether the approver enforces the limits of bootstrap tokens, whose Secrets it reads and updates. */
  readonly tokens: boolean;
  /** The namespace of the approver's Lease; undefined without leader election. */
  readonly leaseNamespace: string | undefined;
  /** The subject of the bindings; by default the service account `tlsboot-approver` in kube-system. */
  readonly subject?: Subject;
}

/** The RBAC objects of an approver without `apiVersion` and `kind`, and its service account. */
export interface ApproverRbac {
  readonly serviceAccount: KubeObject;
  readonly clusterRole: ManifestPart<ClusterRole>;
  readonly clusterRoleBinding: ClusterRoleBinding;
  readonly roles: readonly ManifestPart<Role>[];
  readonly roleBindings: readonly RoleBinding[];
}

/** The name of the approver's roles and bindings. */
const APPROVER_ROLE = "tlsboot:approver";
const TOKEN_ROLE = `${APPROVER_ROLE}-tokens`;
export const APPROVER_LEASE = "tlsboot-approver";
export const APPROVER_SUBJECT: Subject = { kind: "ServiceAccount", name: "tlsboot-approver", namespace: "kube-system" };

/** The namespace of Events about cluster-scoped objects, as in Kubernetes' own recorders (client-go `tools/record`). */
export const EVENT_NAMESPACE = "default";

export function createApproverRbac(options: ApproverRbacOptions): ApproverRbac {
  const { subject = APPROVER_SUBJECT, tokens, dryRun, leaseNamespace } = options;
  const roles = [
    eventRole(),
    ...(dryRun ? [] : [settingsRole()]),
    ...(tokens ? [tokenRole(dryRun)] : []),
    ...(leaseNamespace === undefined ? [] : [leaseRole(leaseNamespace)]),
  ];
  return {
    serviceAccount: {
      metadata: { name: APPROVER_SUBJECT.name, namespace: "kube-system" },
    },
    clusterRole: clusterRole(options),
    clusterRoleBinding: {
      metadata: { name: APPROVER_ROLE },
      ...boundTo("ClusterRole", APPROVER_ROLE, subject),
    },
    roles,
    roleBindings: roles.map(({ object: { metadata } }) => ({
      metadata,
      ...boundTo("Role", metadata.name ?? "", subject),
    })),
  };
}

/** Creates a manifest of the objects in the order of their creation, each with its comment. */
export function createApproverManifest(rbac: ApproverRbac): readonly ManifestPart[] {
  const { serviceAccount, clusterRole, clusterRoleBinding, roles, roleBindings } = rbac;
  const what = "What `tlsboot approver` needs at a Kubernetes API server.";
  return [
    manifestPart(serviceAccountKind, { comment: what, object: serviceAccount }),
    manifestPart(clusterRoleKind, clusterRole),
    manifestPart(clusterRoleBindingKind, { comment: "", object: clusterRoleBinding }),
    ...roles.flatMap((role, index) => {
      const binding = roleBindings[index];
      const both = [manifestPart(roleKind, role)];
      return binding === undefined ? both : [...both, manifestPart(roleBindingKind, { comment: "", object: binding })];
    }),
  ];
}

function clusterRole({ needs, dryRun }: ApproverRbacOptions): ManifestPart<ClusterRole> {
  const decide: readonly PolicyRule[] = [
    { verbs: ["update"], apiGroups: [CERTIFICATES_GROUP], resources: ["certificatesigningrequests/approval"] },
    { verbs: ["approve"], apiGroups: [CERTIFICATES_GROUP], resources: ["signers"], resourceNames: needs.signerNames },
  ];
  const rules: readonly PolicyRule[] = [
    { verbs: ["get", "list", "watch"], apiGroups: [CERTIFICATES_GROUP], resources: ["certificatesigningrequests"] },
    ...(dryRun ? [] : decide),
    { verbs: ["create"], apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"] },
    // kube-apiserver has no such resource: there the approver knows only the requests that it has seen.
    { verbs: ["list", "watch"], apiGroups: [TLSBOOT_GROUP], resources: ["issuedcertificates"] },
    ...(needs.nodes ? [{ verbs: ["list", "watch"], apiGroups: [""], resources: ["nodes"] }] : []),
  ];
  const others = [
    ...(dryRun ? [] : ["decides about those of some signers"]),
    "reads what was issued before",
    ...(needs.nodes ? ["reads what nodes report"] : []),
  ];
  return {
    comment: ["It reads requests", ...others].join(", ") + ", and asks what requesters may have.",
    object: { metadata: { name: APPROVER_ROLE }, rules },
  };
}

function eventRole(): ManifestPart<Role> {
  return {
    comment: "It records its decisions as Events; those about requests are in this namespace.",
    object: {
      metadata: { name: `${APPROVER_ROLE}-events`, namespace: EVENT_NAMESPACE },
      rules: [{ verbs: ["create"], apiGroups: ["events.k8s.io"], resources: ["events"] }],
    },
  };
}

function tokenRole(dryRun: boolean): ManifestPart<Role> {
  const verbs = dryRun ? ["get"] : ["get", "update"];
  return {
    comment:
      "It reads the limits of bootstrap tokens, and binds a token to its first key. RBAC cannot restrict this to " +
      "the Secrets of tokens, so it covers every Secret of the namespace.",
    object: {
      metadata: { name: TOKEN_ROLE, namespace: "kube-system" },
      rules: [{ verbs, apiGroups: [""], resources: ["secrets"] }],
    },
  };
}

function settingsRole(): ManifestPart<Role> {
  const { namespace, name } = PUBLISHED_SETTINGS;
  const configMaps = { apiGroups: [""], resources: ["configmaps"] };
  return {
    comment: "It publishes its policies and its inventory, for tlsboot policy explain and describe csr.",
    object: {
      metadata: { name: `${APPROVER_ROLE}-settings`, namespace },
      rules: [
        // RBAC cannot restrict create by name, because the name is not known at authorization.
        { verbs: ["create"], ...configMaps },
        { verbs: ["get", "update"], ...configMaps, resourceNames: [name] },
      ],
    },
  };
}

/** Creates the role and the binding of an approver that only adds the enforcement of tokens to rights it has. */
export function createTokenRbac(subject: Subject): { readonly role: Role; readonly roleBinding: RoleBinding } {
  const { object: role } = tokenRole(false);
  return { role, roleBinding: { metadata: role.metadata, ...boundTo("Role", TOKEN_ROLE, subject) } };
}

function leaseRole(namespace: string): ManifestPart<Role> {
  return {
    comment: LEASE_COMMENT,
    object: { metadata: { name: APPROVER_ROLE, namespace }, rules: leaseRules(APPROVER_LEASE) },
  };
}

/** The user or the group that gets a permission. */
export interface Grantee {
  readonly kind: "user" | "group";
  readonly name: string;
}

/** The permissions for which Kubernetes has a role, and the names that the bindings of it get. */
export const KUBELET_GRANTS = {
  nodeclient: {
    role: "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
    binding: "tlsboot:node-autoapprove-bootstrap",
  },
  selfnodeclient: {
    role: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    binding: "tlsboot:node-autoapprove-certificate-rotation",
  },
} as const;

/** Formats the command that grants a permission: to create this subresource of certificate signing requests. */
export function formatGrantCommand(permission: string, { kind, name }: Grantee): string {
  const bind = (binding: string, role: string): string =>
    `kubectl create clusterrolebinding ${shellWord(binding)} --clusterrole=${shellWord(role)} --${kind}=${
      shellWord(name)
    }`;
  if (permission === "nodeclient" || permission === "selfnodeclient") {
    const { binding, role } = KUBELET_GRANTS[permission];
    return bind(binding, role);
  }
  const role = `tlsboot:${permission}`;
  const resource = `certificatesigningrequests.certificates.k8s.io/${permission}`;
  return `kubectl create clusterrole ${shellWord(role)} --verb=create --resource=${shellWord(resource)} && ` +
    bind(role, role);
}

/** The signers that the policies of an approver decide about, and whether they read nodes. */
export interface PolicyNeeds {
  /** Signers whose requests are approved or denied; `domain/*` among them. */
  readonly signerNames: readonly string[];
  /** Whether Nodes must be watched for the evidence. */
  readonly nodes: boolean;
}

/** Collects the needs of the two kubelet client rules and of the given policies. */
export function collectPolicyNeeds(policies: readonly Policy[]): PolicyNeeds {
  const deciding = policies.flatMap(({ rules }) => rules).filter(({ then, otherwise }) =>
    then === "approve" || then === "deny" || otherwise === "deny"
  );
  const signerNames = deciding.flatMap(({ match }) => match.signerNames);
  return {
    signerNames: [...new Set([KUBE_APISERVER_CLIENT_KUBELET_SIGNER, ...signerNames])],
    nodes: policies.some((policy) => asksForOwnership(policy) && usesNodeReports(policy.evidence)),
  };
}

/** Reports whether a policy can approve nothing, or only renewals, when there is no inventory. */
export function needsInventory(policy: Policy): boolean {
  return policy.machines === "inventory" ||
    asksForOwnership(policy) && policy.evidence.inventory && !policy.evidence.trustNodeStatus;
}

function asksForOwnership({ rules }: Policy): boolean {
  return rules.some(({ require: wanted }) => wanted.names?.owned === true);
}
