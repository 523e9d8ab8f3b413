/** The request of a node that joins. */
import { buildCsr } from "../../client/certificate/submit_request.ts";
import { parseNodeName, toNodeSubject } from "../../core/bootstrap/node_name.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../../core/kube/certificates_v1.ts";
import { generatePrivateKey } from "../../core/pki/keys.ts";

/** Creates a request of a node, signed with its own new key. */
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
