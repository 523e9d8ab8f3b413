/** The kubeconfig that a bootstrapped node is left with (`kubelet-bootstrap.md` §8). */
import { encodeKubeconfig } from "../core/kube/kubeconfig.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";

/** The kubeconfig of a node, in kubelet's names; nothing of the bootstrap credentials is in it. */
export function encodeNodeKubeconfig(cluster: ResolvedCluster, certificatePath: string): string {
  const ca = cluster.ca;
  return encodeKubeconfig({
    clusters: [{
      name: "default-cluster",
      cluster: {
        server: cluster.server,
        ...(cluster.insecureSkipTlsVerify ? { insecureSkipTlsVerify: true } : {}),
        ...(ca?.kind === "file" ? { certificateAuthority: ca.path } : {}),
        ...(ca?.kind === "pem" ? { certificateAuthorityData: ca.pem } : {}),
      },
    }],
    contexts: [{
      name: "default-context",
      context: { cluster: "default-cluster", user: "default-auth", namespace: "default" },
    }],
    users: [{ name: "default-auth", user: { clientCertificate: certificatePath, clientKey: certificatePath } }],
    currentContext: "default-context",
  });
}
