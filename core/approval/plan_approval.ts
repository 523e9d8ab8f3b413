/** What an automatic approver does with a CSR (`pkg/controller/certificates/approver/sarapprove.go`). Pure: the shell asks the questions. */
import { findCondition, hasCertificate } from "../csr/phase.ts";
import { parseRequest } from "../csr/request.ts";
import type { SubjectAccessReviewSpec } from "../kube/authorization_v1.ts";
import { type CertificateSigningRequest, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/certificates_v1.ts";
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

/** The reason of an automatic approval. */
export const AUTO_APPROVED = "AutoApproved";

/** One question; a yes approves with the message. */
export interface ApprovalAttempt {
  readonly permission: Recognizer["permission"];
  readonly review: SubjectAccessReviewSpec;
  readonly message: string;
}

/** What to do. */
export type ApprovalPlan =
  /** Decided already, issued already, or nothing this approver knows: it is left alone. */
  | { readonly kind: "ignore" }
  /** The request cannot be read; tried again, as the stored request might be replaced under the same name. */
  | { readonly kind: "unreadable"; readonly message: string }
  /** Ask these in order; the first yes approves. When all say no, the text is the error to retry with. */
  | { readonly kind: "review"; readonly attempts: readonly ApprovalAttempt[]; readonly refusal: string };

/** Plans the reviews of a CSR; never a denial. */
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

/** True when there is nothing left to decide: a decision or a certificate is there. */
export function isSettled(csr: CertificateSigningRequest): boolean {
  return hasCertificate(csr) || findCondition(csr, "Approved") !== undefined ||
    findCondition(csr, "Denied") !== undefined;
}

/** The question whether a request's requester may `create` a virtual subresource of certificatesigningrequests. */
export function createAccessReviewSpec(csr: CertificateSigningRequest, permission: string): SubjectAccessReviewSpec {
  const { username = "", groups = [], extra = {}, uid = "" } = csr.spec;
  return {
    resourceAttributes: {
      verb: "create",
      group: "certificates.k8s.io",
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
