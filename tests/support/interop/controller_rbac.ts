/**
 * The least rights that our controllers and a bootstrapping node need at a real kube-apiserver, as manifests.
 * The approver's part is what `tlsboot approver --print-rbac` prints.
 */
import { collectPolicyNeeds, createApproverManifest } from "../../../core/approval/approver_rbac.ts";
import { BUILTIN_POLICIES } from "../../../core/approval/policy.ts";
import type { PolicyRule } from "../../../core/kube/kinds/rbac_v1.ts";
import { BUILTIN_SIGNERS } from "../../../core/signing/profile.ts";
import { signerClusterRole } from "../../../core/signing/signer_rbac.ts";
import { type Child, spawnTlsboot } from "../child.ts";
import type { ControlPlane } from "./control_plane.ts";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const ELECT: Rule = { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] };

/** The rules of `tlsboot signer` without leader election, as `--print-rbac` prints them for Kubernetes' signers. */
const SIGNER = signerClusterRole("tlsboot-signer", [...BUILTIN_SIGNERS.keys()]).rules ?? [];
/** Lets a controller read which client CAs the API trusts. */
const CLIENT_CAS: Rule = {
  apiGroups: [""],
  resources: ["configmaps"],
  resourceNames: ["extension-apiserver-authentication"],
  verbs: ["get"],
};

/** Formats a List with the rights of both controllers, and of nodes whose requests are approved automatically. */
export function controllerRbac(...policies: readonly string[]): string {
  const nodes = "system:certificates.k8s.io:certificatesigningrequests";
  return JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      role("ClusterRole", "tlsboot-signer", SIGNER),
      ...approver(policies),
      role("Role", "tlsboot-elect", [ELECT]),
      role("Role", "tlsboot-client-cas", [CLIENT_CAS]),
      binding("ClusterRole", "tlsboot-signer", "tlsboot-signers"),
      binding("Role", "tlsboot-elect", "tlsboot-signers"),
      binding("Role", "tlsboot-client-cas", "tlsboot-signers"),
      binding("ClusterRole", "system:node-bootstrapper", "system:bootstrappers"),
      binding("ClusterRole", `${nodes}:nodeclient`, "system:bootstrappers"),
      binding("ClusterRole", `${nodes}:selfnodeclient`, "system:nodes"),
    ],
  });
}

/** Starts `tlsboot signer` with these rights and the CA of the cluster; the caller ends it. */
export async function startSigner(plane: ControlPlane, ...flags: readonly string[]): Promise<Child> {
  const kubeconfig = await plane.kubeconfigWithToken("signer", "signer-token");
  return spawnTlsboot(["signer", "--kubeconfig", kubeconfig, ...plane.caFlags, ...flags]);
}

/** Starts `tlsboot approver` with these rights; the caller ends it. */
export async function startApprover(plane: ControlPlane, ...flags: readonly string[]): Promise<Child> {
  const kubeconfig = await plane.kubeconfigWithToken("approver", "approver-token");
  return spawnTlsboot(["approver", "--kubeconfig", kubeconfig, ...flags]);
}

function approver(names: readonly string[]): readonly unknown[] {
  const policies = names.flatMap((name) => BUILTIN_POLICIES.get(name) ?? []);
  const subject = { kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: "tlsboot-approvers" };
  const options = {
    needs: collectPolicyNeeds(policies),
    dryRun: false,
    tokens: false,
    leaseNamespace: "kube-system",
  };
  return createApproverManifest(options).map(({ object }) =>
    "subjects" in object ? { ...object, subjects: [subject] } : object
  );
}

function role(kind: "ClusterRole" | "Role", name: string, rules: readonly (Rule | PolicyRule)[]): unknown {
  return { apiVersion: "rbac.authorization.k8s.io/v1", kind, metadata: createMetadata(kind, name), rules };
}

function binding(kind: "ClusterRole" | "Role", name: string, ...groups: readonly string[]): unknown {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: `${kind}Binding`,
    metadata: createMetadata(kind, `interop:${name}`),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
    subjects: groups.map((group) => ({ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group })),
  };
}

function createMetadata(kind: "ClusterRole" | "Role", name: string): unknown {
  return kind === "Role" ? { name, namespace: "kube-system" } : { name };
}
