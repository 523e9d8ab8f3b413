/** The contents of kubelet's requests: usages, and the names of a serving certificate. */
import type { ServingNames } from "./node_addresses.ts";
import { type NodeName, toNodeSubject } from "./node_name.ts";
import type { CertificateTemplate } from "./rotation.ts";

/** A request of a kubelet: its first one, a renewal of its client certificate, or one for its serving certificate. */
export type KubeletRequest = "first" | "renewal" | "serving";

/**
 * Returns the usages of a request in kubelet's order, which is part of the name of the first one. Since Kubernetes 1.27
 * only RSA keys have key encipherment (`pkg/kubelet/certificate/bootstrap/bootstrap.go` requestNodeCertificate,
 * `pkg/kubelet/certificate/kubelet.go` NewKubeletClientCertificateManager and NewKubeletServerCertificateManager).
 */
export function getKubeletUsages(
  request: KubeletRequest,
  keyAlgorithm: "ECDSA" | "RSA" | "Ed25519",
): readonly string[] {
  const purpose = request === "serving" ? "server auth" : "client auth";
  if (keyAlgorithm !== "RSA") return ["digital signature", purpose];
  return request === "first"
    ? ["digital signature", purpose, "key encipherment"]
    : ["digital signature", "key encipherment", purpose];
}

/** Creates the contents of a serving certificate; undefined without an address, because kubelet 1.31 requires one. */
export function createServingTemplate(nodeName: NodeName, names: ServingNames): CertificateTemplate | undefined {
  return names.ipAddresses.length === 0 ? undefined : { ...toNodeSubject(nodeName), ...names };
}
