/** Signs a certificate with a CA in a folder, by the rules of one of Kubernetes' signers. No server runs. */
import { X509Certificate } from "node:crypto";
import {
  createCertificationRequest,
  encodePem,
  generatePrivateKey,
  KUBE_APISERVER_CLIENT_SIGNER,
  loadAuthority,
  signCertificate,
} from "@tlsboot/tlsboot";

const authority = await loadAuthority("example-ca", { create: true });
const key = await generatePrivateKey("ecdsa-p256");
const der = createCertificationRequest({ subject: { commonName: "jane" } }, key);
const certificate = await signCertificate(authority, {
  request: encodePem("CERTIFICATE REQUEST", der),
  signerName: KUBE_APISERVER_CLIENT_SIGNER,
});
console.log(new X509Certificate(certificate).subject);
