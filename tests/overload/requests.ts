/** The requests of attackers and honest clients. */
import { buildCsr } from "../../client/certificate/submit_request.ts";
import { parseNodeName, toNodeSubject } from "../../core/machine/node_name.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/constants.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";

/** A review that any authenticated user may create. */
export const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/** Certificate signing requests, which a bootstrap token may create. */
export const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The largest answer that a bootstrap token may read. */
export const OPENAPI = "/openapi/v2";

export function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}`, "content-type": "application/json" };
}

/** Creates a node's certificate signing request with a new key. */
export async function createNodeRequest(name: string): Promise<CertificateSigningRequest> {
  const nodeName = parseNodeName(name);
  if (!nodeName.ok) throw new Error(nodeName.error);
  return buildCsr({
    key: await generatePrivateKey("ecdsa-p256"),
    subject: toNodeSubject(nodeName.value),
    signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
    usages: ["digital signature", "client auth"],
    name: { fixed: name },
  });
}
