/**
 * The requests that kube-controller-manager approves (`pkg/controller/certificates/approver/sarapprove.go`). As in
 * Kubernetes, only the organizations and the last common name of a subject count. The signer keeps some other
 * attributes, so `decideHold` holds a request with any of them for a person.
 */
import { findCondition, hasCertificate } from "../request/phase.ts";
import type { SubjectAccessReviewSpec } from "../kube/kinds/authorization_v1.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { CERTIFICATES_GROUP, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/kinds/constants.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { isKubeletClientRequest } from "../signing/profile.ts";
import { omitEmpty } from "../lib/record.ts";

/** A kind of request that is approved when the requester holds a permission. */
export interface Recognizer {
  /** The virtual subresource of `certificatesigningrequests` on which `create` must be granted. */
  readonly permission: "selfnodeclient" | "nodeclient";
  /** The message of the Approved condition. */
  readonly message: string;
  recognizes(csr: CertificateSigningRequest, facts: RequestFacts): boolean;
}

/** The recognizers in the order in which they are tried; a node that renews its own certificate comes first. */
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

/** Reports whether a request asks for the client certificate of a node, exactly as a kubelet does. */
export function isNodeClient(csr: CertificateSigningRequest, facts: RequestFacts): boolean {
  return csr.spec.signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER &&
    isKubeletClientRequest(facts, csr.spec.usages ?? []);
}

/** The reason of an automatic approval. */
export const AUTO_APPROVED = "AutoApproved";

/** Reports whether the CSR already has a decision or a certificate. */
export function isSettled(csr: CertificateSigningRequest): boolean {
  return hasCertificate(csr) || findCondition(csr, "Approved") !== undefined ||
    findCondition(csr, "Denied") !== undefined;
}

/** Creates the review that asks whether the requester may `create` a virtual subresource of certificatesigningrequests. */
export function createAccessReviewSpec(
  { spec }: { readonly spec: Pick<CertificateSigningRequest["spec"], "username" | "groups" | "extra" | "uid"> },
  permission: string,
): SubjectAccessReviewSpec {
  const { username = "", groups = [], extra = {}, uid = "" } = spec;
  return {
    resourceAttributes: {
      verb: "create",
      group: CERTIFICATES_GROUP,
      version: "*",
      resource: "certificatesigningrequests",
      subresource: permission,
    },
    ...omitEmpty({ user: username, groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
    ...(uid === "" ? {} : { uid }),
  };
}
