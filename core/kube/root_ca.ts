/** The config map with the CA bundle for the programs of a namespace (`pkg/controller/certificates/rootcacertpublisher`). */
import type { ConfigMap } from "./kinds/core_v1.ts";

/** The name of the config map in each namespace. */
export const ROOT_CA_NAME = "kube-root-ca.crt";

const DESCRIPTION_ANNOTATION = "kubernetes.io/description";
const DESCRIPTION =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the " +
  "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes " +
  "clusters.";

/** The action of the publisher on the config map of a namespace. */
export type RootCaPlan =
  | { readonly kind: "none" }
  | { readonly kind: "create" | "update"; readonly configMap: ConfigMap };

/** Plans the config map, which must contain the bundle, nothing else, and a description. */
export function planRootCa(existing: ConfigMap | undefined, namespace: string, caPem: string): RootCaPlan {
  const data = { "ca.crt": caPem };
  const annotations = { [DESCRIPTION_ANNOTATION]: DESCRIPTION };
  if (existing === undefined) {
    return { kind: "create", configMap: { metadata: { name: ROOT_CA_NAME, namespace, annotations }, data } };
  }
  const entries = Object.entries(existing.data ?? {});
  const isRight = entries.length === 1 && existing.data?.["ca.crt"] === caPem;
  const isDescribed = (existing.metadata.annotations?.[DESCRIPTION_ANNOTATION] ?? "") !== "";
  if (isRight && isDescribed) return { kind: "none" };
  const { metadata } = existing;
  return {
    kind: "update",
    configMap: {
      ...existing,
      metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } },
      data,
    },
  };
}
