/**
 * `kube-public/cluster-info`: the address and the CA of a cluster for those who hold nothing but a bootstrap token, as
 * kubeadm publishes it (`cmd/kubeadm/app/phases/bootstraptoken/clusterinfo`).
 */
import type { ConfigMap } from "../kube/core_v1.ts";
import { encodeKubeconfig, parseKubeconfig } from "../kube/kubeconfig.ts";
import type { PolicyRule, Role, RoleBinding } from "../kube/rbac_v1.ts";

/** The name of the config map. */
export const CLUSTER_INFO_NAME = "cluster-info";
/** Its namespace, which everybody may know. */
export const CLUSTER_INFO_NAMESPACE = "kube-public";
/** The key of the kubeconfig in it. */
export const CLUSTER_INFO_KUBECONFIG_KEY = "kubeconfig";

/** kubeadm's name for the role and its binding. */
const READER_NAME = "kubeadm:bootstrap-signer-clusterinfo";
const RBAC_GROUP = "rbac.authorization.k8s.io";
const READ_RULE: PolicyRule = {
  verbs: ["get"],
  apiGroups: [""],
  resources: ["configmaps"],
  resourceNames: [CLUSTER_INFO_NAME],
};

/** What clients are told. */
export interface PublishedCluster {
  /** `https://host:port`. */
  readonly server: string;
  readonly caPem: string;
}

/** What to do about the config map. */
export type ClusterInfoPlan =
  | { readonly kind: "create" | "update"; readonly configMap: ConfigMap }
  | { readonly kind: "none" }
  /** It names another server, which somebody may have meant. */
  | { readonly kind: "foreign"; readonly server: string }
  /** Servers that share a store must share the CA, and this one has another. */
  | { readonly kind: "otherCa" };

/**
 * Published when missing; put right when its CA is another one or its server is only this machine's. An address that
 * somebody put there, such as a load balancer's, stays. Of several servers with one store the first one publishes.
 */
export function planClusterInfo(
  existing: ConfigMap | undefined,
  cluster: PublishedCluster,
  { isShared = false }: { readonly isShared?: boolean } = {},
): ClusterInfoPlan {
  const data = { [CLUSTER_INFO_KUBECONFIG_KEY]: encodeClusterInfo(cluster) };
  if (existing === undefined) {
    const metadata = { name: CLUSTER_INFO_NAME, namespace: CLUSTER_INFO_NAMESPACE };
    return { kind: "create", configMap: { metadata, data } };
  }
  const published = parsePublishedCluster(existing);
  if (published?.server === cluster.server && published.certificateAuthorityData === cluster.caPem) {
    return { kind: "none" };
  }
  if (isShared && namesOtherCa(existing, cluster.caPem)) return { kind: "otherCa" };
  if (published?.certificateAuthorityData === cluster.caPem && (isShared || !isLoopbackServer(published.server))) {
    return { kind: "foreign", server: published.server };
  }
  return { kind: "update", configMap: { ...existing, data: { ...existing.data, ...data } } };
}

/** Whether it is of an instance whose CA is another one than this; of what names none nothing is known. */
export function namesOtherCa(clusterInfo: ConfigMap, caPem: string): boolean {
  const published = parsePublishedCluster(clusterInfo)?.certificateAuthorityData;
  return published !== undefined && published !== caPem;
}

function parsePublishedCluster(clusterInfo: ConfigMap) {
  const config = parseKubeconfig(clusterInfo.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "", CLUSTER_INFO_NAME);
  return config.ok ? config.value.clusters[0]?.cluster : undefined;
}

/** A kubeconfig without a user: one cluster, without a name. */
export function encodeClusterInfo({ server, caPem }: PublishedCluster): string {
  return encodeKubeconfig({
    clusters: [{ name: "", cluster: { server, certificateAuthorityData: caPem } }],
    contexts: [],
    users: [],
    currentContext: "",
  });
}

/** What lets everybody read `cluster-info`, and nothing else. */
export function createClusterInfoRbac(): { readonly role: Role; readonly roleBinding: RoleBinding } {
  const metadata = { name: READER_NAME, namespace: CLUSTER_INFO_NAMESPACE };
  return {
    role: { metadata, rules: [READ_RULE] },
    roleBinding: {
      metadata,
      subjects: [{ kind: "User", apiGroup: RBAC_GROUP, name: "system:anonymous" }],
      roleRef: { apiGroup: RBAC_GROUP, kind: "Role", name: READER_NAME },
    },
  };
}

/** Whether a server's URL names the machine that reads it, which may be any: `localhost` or a loopback address. */
export function isLoopbackServer(server: string): boolean {
  const host = URL.canParse(server) ? new URL(server).hostname : "";
  return host === "localhost" || host === "[::1]" || /^127\./.test(host);
}
