/** The origin of a certificate that was requested at an API: the request, its requester and its approval. */
import { omitEmpty, omitUndefined } from "../lib/record.ts";
import { findCondition } from "../request/phase.ts";
import type { CertificateSigningRequest, PodCertificateRequest } from "../kube/kinds/certificates_v1.ts";
import { getName, toObjectKey } from "../kube/meta.ts";
import type {
  IssuedCertificateApproval,
  IssuedCertificateRequester,
  RequestRecord,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { CertificateOrigin } from "./record.ts";

/** The origin of a request, as far as it is known. */
export interface KnownOrigin extends Pick<IssuedCertificateRequester, "tokenID" | "certificateFingerprint"> {
  /** The record of this very request; a record of an earlier request of its name must not be given. */
  readonly record?: RequestRecord | undefined;
}

/** Describes the origin of the certificate of a request, except its CA. */
export function describeRequestOrigin(
  csr: CertificateSigningRequest,
  known: KnownOrigin,
): Omit<CertificateOrigin, "issuerFingerprint"> {
  return {
    source: "CertificateSigningRequest",
    signerName: csr.spec.signerName,
    request: { name: getName(csr), ...omitUndefined({ uid: csr.metadata.uid }) },
    requester: describeRequester(csr, known),
    ...describeApproval(csr, known.record),
  };
}

/** Describes the origin of the certificate of a pod, except its CA. Its request does not name the requester. */
export function describePodOrigin(request: PodCertificateRequest): Omit<CertificateOrigin, "issuerFingerprint"> {
  return {
    source: "PodCertificateRequest",
    signerName: request.spec.signerName,
    request: { name: toObjectKey(request), ...omitUndefined({ uid: request.metadata.uid }) },
  };
}

function describeRequester(
  { spec: { username, uid, groups } }: CertificateSigningRequest,
  { tokenID, certificateFingerprint, record }: KnownOrigin,
): IssuedCertificateRequester {
  const { address, userAgent, attested } = record?.spec ?? {};
  return omitEmpty({ username, uid, groups, tokenID, certificateFingerprint, address, userAgent, attested });
}

function describeApproval(
  csr: CertificateSigningRequest,
  record: RequestRecord | undefined,
): { readonly approval?: IssuedCertificateApproval } {
  const condition = findCondition(csr, "Approved");
  if (condition === undefined) return {};
  const decision = record?.status.decision?.type === "Approved" ? record.status.decision : undefined;
  const { reason, message, lastUpdateTime } = condition;
  return {
    approval: {
      ...omitUndefined({ username: decision?.username, groups: decision?.groups, address: decision?.address }),
      ...omitEmpty({ reason, message }),
      time: lastUpdateTime ?? decision?.time ?? null,
    },
  };
}
