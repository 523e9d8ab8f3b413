/** Which labels a kubelet may not set on its own node (`k8s.io/kubelet/pkg/apis/well_known_labels.go`). */

/** Labels as they stand in metadata. */
export type Labels = Readonly<Record<string, string>>;

const KUBELET_LABELS: ReadonlySet<string> = new Set([
  "kubernetes.io/hostname",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
]);
const KUBELET_NAMESPACES = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const RESTRICTED_NAMESPACE = "node-restriction.kubernetes.io";

/** The changed labels that a kubelet may not change, sorted: restricted ones, and unknown ones of Kubernetes itself. */
export function findForbiddenLabels(labels: Labels, oldLabels: Labels): readonly string[] {
  const keys = new Set([...Object.keys(labels), ...Object.keys(oldLabels)]);
  return [...keys].filter((key) => labels[key] !== oldLabels[key] && isForbidden(key)).sort();
}

function isForbidden(key: string): boolean {
  const namespace = namespaceOf(key);
  if (isWithin(namespace, RESTRICTED_NAMESPACE)) return true;
  const isKubernetes = isWithin(namespace, "kubernetes.io") || isWithin(namespace, "k8s.io");
  return isKubernetes && !KUBELET_LABELS.has(key) &&
    !KUBELET_NAMESPACES.some((allowed) => isWithin(namespace, allowed));
}

function namespaceOf(key: string): string {
  const slash = key.indexOf("/");
  return slash < 0 ? "" : key.slice(0, slash);
}

function isWithin(namespace: string, domain: string): boolean {
  return namespace === domain || namespace.endsWith(`.${domain}`);
}
