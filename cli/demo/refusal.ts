/** The request that is refused: somebody with a bootstrap token asks to be an administrator. */
import { encodeBase64, encodePem } from "../../core/pki/pem.ts";
import { createCertificationRequest } from "../../core/pki/pkcs10.ts";
import { generatePrivateKey } from "../../core/pki/keys.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../../core/kube/certificates_v1.ts";
import { formatYaml } from "../../core/kube/codec/yaml.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";

/** A CSR for a client certificate in `system:masters`. */
export async function createMastersRequest(): Promise<object> {
  const key = await generatePrivateKey("ecdsa-p256");
  const subject = { commonName: "mallory", organizations: [MASTERS_GROUP] };
  const pem = encodePem("CERTIFICATE REQUEST", createCertificationRequest({ subject }, key));
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: "mallory" },
    spec: {
      request: encodeBase64(new TextEncoder().encode(pem)),
      signerName: KUBE_APISERVER_CLIENT_SIGNER,
      usages: ["client auth"],
    },
  };
}

/** The manifest that kubectl creates. */
export function manifestOf(request: object): string {
  return formatYaml(request);
}
