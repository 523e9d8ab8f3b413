/** The name of a node, and the contents of kubelet's requests: subject, usages, and the names of a serving certificate. */
import type { Brand } from "../lib/brand.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../kube/user.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { PrivateKeyAlgorithm } from "../pki/keys/key_algorithm.ts";
import type { ServingNames } from "./node_addresses.ts";
import type { CertificateTemplate } from "./renewal_schedule.ts";

/** A DNS-1123 subdomain, lower case, that names a node. */
export type NodeName = Brand<string, "NodeName">;

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
// apimachinery `DNS1123SubdomainMaxLength`.
const MAX_LENGTH = 253;

/**
 * Parses `--hostname-override` or the host's name as kubelet does (`nodeutil.GetHostname`: trimmed, lower-cased), and
 * checks it as the API server checks a node's name.
 */
export function parseNodeName(text: string): Result<NodeName, string> {
  const name = text.trim().toLowerCase();
  if (name === "") return err("empty hostname is invalid");
  if (name.length > MAX_LENGTH) {
    return err(`invalid node name "${name}": must be no more than ${MAX_LENGTH} characters`);
  }
  if (!SUBDOMAIN.test(name)) {
    return err(
      `invalid node name "${name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric ` +
        `characters, '-' or '.', and must start and end with an alphanumeric character`,
    );
  }
  return ok(name as NodeName);
}

/** The subject of a node's client certificate: CN `system:node:<name>`, O `system:nodes`. */
export function toNodeSubject(nodeName: NodeName): { readonly commonName: string; readonly organizations: string[] } {
  return { commonName: `${NODE_USER_PREFIX}${nodeName}`, organizations: [NODES_GROUP] };
}

/** A request of a kubelet: its first one, a renewal of its client certificate, or one for its serving certificate. */
export type KubeletRequest = "first" | "renewal" | "serving";

/**
 * Returns the usages of a request in kubelet's order, which is part of the name of the first one. Since Kubernetes 1.27
 * only RSA keys have key encipherment (`pkg/kubelet/certificate/bootstrap/bootstrap.go` requestNodeCertificate,
 * `pkg/kubelet/certificate/kubelet.go` NewKubeletClientCertificateManager and NewKubeletServerCertificateManager).
 */
export function getKubeletUsages(
  request: KubeletRequest,
  keyAlgorithm: PrivateKeyAlgorithm,
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
