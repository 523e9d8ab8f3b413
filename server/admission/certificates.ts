/**
 * The admission plugins of `certificates.k8s.io` (`plugin/pkg/admission/certificates`): CertificateApproval,
 * CertificateSigning, ClusterTrustBundleAttest and CertificateSubjectRestriction, and the permission for a signer that the
 * first three check (`pkg/certauthorization/certauthorization.go`).
 */
import { goQuote } from "../../core/lib/quote.ts";
import type { Logger } from "../../core/ports.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import { isOwnershipOnly } from "../authz/escalation_check.ts";
import type { AdmissionPlugin } from "./admission.ts";
import {
  CERTIFICATES_GROUP,
  type CertificateSigningRequest,
  type ClusterTrustBundle,
  KUBE_APISERVER_CLIENT_SIGNER,
} from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind, clusterTrustBundleKind } from "../../core/kube/kinds/mod.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { findSubjectRestriction } from "../../core/signing/refusals.ts";
import type { UserInfo } from "../../core/kube/user.ts";

export interface SignerCheckDeps {
  readonly authorizer: Pick<Authorizer, "authorize">;
  readonly logger: Logger;
}

/**
 * Creates CertificateApproval: writing `/approval` requires the permission to approve for the signer of the stored
 * object. The sent object may name another signer.
 */
export function createCertificateApproval(deps: SignerCheckDeps): AdmissionPlugin {
  return {
    name: "CertificateApproval",
    kinds: [certificateSigningRequestKind],
    async validate({ operation, subresource, user, oldObject }) {
      if (operation !== "UPDATE" || subresource !== "approval") return undefined;
      const { signerName } = (oldObject as CertificateSigningRequest).spec;
      if (await isAllowedForSigner(deps, user, "approve", signerName)) return undefined;
      return { message: `user not permitted to approve requests with signerName ${goQuote(signerName)}` };
    },
  };
}

/**
 * Creates CertificateSigning: a write of `/status` that changes the certificate or the conditions requires the
 * permission to sign for the signer.
 */
export function createCertificateSigning(deps: SignerCheckDeps): AdmissionPlugin {
  return {
    name: "CertificateSigning",
    kinds: [certificateSigningRequestKind],
    async validate({ operation, subresource, user, object, oldObject }) {
      if (operation !== "UPDATE" || subresource !== "status") return undefined;
      const before = oldObject as CertificateSigningRequest;
      if (isSameStatus(object as CertificateSigningRequest, before)) return undefined;
      const { signerName } = before.spec;
      if (await isAllowedForSigner(deps, user, "sign", signerName)) return undefined;
      return { message: `user not permitted to sign requests with signerName ${goQuote(signerName)}` };
    },
  };
}

/** Absent conditions equal an empty list, but an absent certificate differs from an empty one. */
function isSameStatus(a: CertificateSigningRequest, b: CertificateSigningRequest): boolean {
  return a.status.certificate === b.status.certificate &&
    JSON.stringify(a.status.conditions ?? []) === JSON.stringify(b.status.conditions ?? []);
}

/**
 * Creates ClusterTrustBundleAttest: writing the bundle of a signer requires the permission to attest for the signer, except
 * for a change of owners and finalizers.
 */
export function createClusterTrustBundleAttest(deps: SignerCheckDeps): AdmissionPlugin {
  return {
    name: "ClusterTrustBundleAttest",
    kinds: [clusterTrustBundleKind],
    async validate({ operation, user, object, oldObject }) {
      if (operation === "DELETE" || object === undefined) return undefined;
      const { signerName = "" } = (object as ClusterTrustBundle).spec;
      if (signerName === "") return undefined;
      if (oldObject !== undefined && isOwnershipOnly(object, oldObject)) return undefined;
      if (await isAllowedForSigner(deps, user, "attest", signerName)) return undefined;
      return { message: `user not permitted to attest for signerName ${goQuote(signerName)}` };
    },
  };
}

/** CertificateSubjectRestriction refuses organization `system:masters` in requests for `kubernetes.io/kube-apiserver-client`. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: "CertificateSubjectRestriction",
  kinds: [certificateSigningRequestKind],
  validate({ operation, subresource, object }) {
    if (operation !== "CREATE" || subresource !== "") return undefined;
    const { spec } = object as CertificateSigningRequest;
    if (spec.signerName !== KUBE_APISERVER_CLIENT_SIGNER) return undefined;
    const request = parseRequest(spec.request);
    if (!request.ok) return { message: `failed to parse CSR: ${request.error}` };
    const message = findSubjectRestriction(spec.signerName, request.value.subject.organizations);
    return message === undefined ? undefined : { message };
  },
};

/**
 * Reports whether a user may `approve`, `sign` or `attest` for a signer. The full name is authorized first, then
 * `<domain>/*`; a failing authorizer allows nothing.
 */
export async function isAllowedForSigner(
  deps: SignerCheckDeps,
  user: UserInfo,
  verb: "approve" | "sign" | "attest",
  signerName: string,
): Promise<boolean> {
  const slash = signerName.indexOf("/");
  const domain = slash < 0 ? signerName : signerName.slice(0, slash);
  for (const name of [signerName, `${domain}/*`]) {
    try {
      const decision = await deps.authorizer.authorize(user, {
        kind: "resource",
        verb,
        apiGroup: CERTIFICATES_GROUP,
        apiVersion: "*",
        resource: "signers",
        subresource: "",
        name,
        namespace: "",
      });
      if (decision.kind === "allow") return true;
    } catch (error) {
      deps.logger.error("signer permission could not be checked", { user: user.username, verb, signerName, error });
    }
  }
  return false;
}
