/**
 * Which requests an automatic approver knows (`pkg/controller/certificates/approver/sarapprove.go` recognizers). As there,
 * organizations and the last common name of a subject count, and other attributes pass: the signers of kubelet certificates
 * leave them out, and a certificate has one common name.
 */
import { type CertificateSigningRequest, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/certificates_v1.ts";
import type { RequestFacts } from "../pki/pkcs10.ts";
import { isKubeletClientRequest } from "../signing/profile.ts";

/** A kind of request that is approved when the requester holds a permission. */
export interface Recognizer {
  /** The virtual subresource of `certificatesigningrequests` on which `create` must be granted. */
  readonly permission: "selfnodeclient" | "nodeclient";
  /** The message of the Approved condition. */
  readonly message: string;
  recognizes(csr: CertificateSigningRequest, facts: RequestFacts): boolean;
}

/** In the order in which they are tried: a node that renews its own certificate first. */
export const RECOGNIZERS: readonly Recognizer[] = [
  {
    permission: "selfnodeclient",
    message: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    recognizes: (csr, facts) => isNodeClient(csr, facts) && csr.spec.username === facts.subject.commonName,
  },
  {
    permission: "nodeclient",
    message: "Auto approving kubelet client certificate after SubjectAccessReview.",
    recognizes: isNodeClient,
  },
];

function isNodeClient(csr: CertificateSigningRequest, facts: RequestFacts): boolean {
  return csr.spec.signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER &&
    isKubeletClientRequest(facts, csr.spec.usages ?? []);
}
