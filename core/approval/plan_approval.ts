/**
 * Plans what an automatic approver does with a CSR (`pkg/controller/certificates/approver/sarapprove.go`). As there, only
 * organizations and the last common name of a subject count here. The signer keeps some other attributes, so `decideHold`
 * leaves requests with any of them to a person.
 */
import { findCondition, hasCertificate } from "../csr/phase.ts";
import { parseRequest } from "../csr/request.ts";
import type { SubjectAccessReviewSpec } from "../kube/authorization_v1.ts";
import {
  CERTIFICATES_GROUP,
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../kube/certificates_v1.ts";
import { getName } from "../kube/meta.ts";
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

/** One access review; when it is allowed, the CSR is approved with the message. */
export interface ApprovalAttempt {
  readonly permission: Recognizer["permission"];
  readonly review: SubjectAccessReviewSpec;
  readonly message: string;
}

/** The action of the approver on the CSR. */
export type ApprovalPlan =
  /** Nothing: the CSR is already decided or issued, or this approver does not recognize it. */
  | { readonly kind: "ignore" }
  /** Retry: the request is malformed, but another CSR of the same name may replace it. */
  | { readonly kind: "unreadable"; readonly message: string }
  /** Send these reviews in order; the first allowed one approves. When all are refused, `refusal` is the error of the retry. */
  | { readonly kind: "review"; readonly attempts: readonly ApprovalAttempt[]; readonly refusal: string };

/** Plans the access reviews of a CSR. The approver never denies. */
export function planApproval(
  csr: CertificateSigningRequest,
  recognizers: readonly Recognizer[] = RECOGNIZERS,
): ApprovalPlan {
  if (isSettled(csr)) return { kind: "ignore" };
  const request = parseRequest(csr.spec.request);
  if (!request.ok) {
    return { kind: "unreadable", message: `unable to parse csr "${getName(csr)}": ${request.error}` };
  }
  const matching = recognizers.filter((recognizer) => recognizer.recognizes(csr, request.value));
  if (matching.length === 0) return { kind: "ignore" };
  const tried = matching.map((recognizer) => recognizer.permission).join(" ");
  return {
    kind: "review",
    attempts: matching.map((recognizer) => ({
      permission: recognizer.permission,
      review: createAccessReviewSpec(csr, recognizer.permission),
      message: recognizer.message,
    })),
    refusal: `recognized csr "${getName(csr)}" as [${tried}] but subject access review was not approved`,
  };
}

/** Reports whether the CSR already has a decision or a certificate. */
export function isSettled(csr: CertificateSigningRequest): boolean {
  return hasCertificate(csr) || findCondition(csr, "Approved") !== undefined ||
    findCondition(csr, "Denied") !== undefined;
}

/** Creates the review that asks whether the requester may `create` a virtual subresource of certificatesigningrequests. */
export function createAccessReviewSpec(csr: CertificateSigningRequest, permission: string): SubjectAccessReviewSpec {
  const { username = "", groups = [], extra = {}, uid = "" } = csr.spec;
  return {
    resourceAttributes: {
      verb: "create",
      group: CERTIFICATES_GROUP,
      version: "*",
      resource: "certificatesigningrequests",
      subresource: permission,
    },
    ...(username === "" ? {} : { user: username }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
    ...(uid === "" ? {} : { uid }),
  };
}
