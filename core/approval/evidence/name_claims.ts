/**
 * The names that machines hold: a DNS name or an address belongs to the user whose valid certificate contains it. A policy
 * with `names.unclaimed` leaves a request pending when another user holds one of its names.
 */
import { hasCertificate, isApproved } from "../../request/phase.ts";
import { parseRequest } from "../../request/parse_request.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import type { IssuedCertificate } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import { BOOTSTRAP_USER_PREFIX } from "../../kube/user.ts";
import { canonicalIp } from "../../lib/ip_address.ts";
import type { RequestFacts } from "../../pki/x509/pkcs10.ts";
import { readIdentity } from "../../register/certificate_user.ts";
import { computeKeyFingerprint } from "./node_claims.ts";
import type { NameClaim } from "./ownership.ts";

/** The names of a certificate or a request. */
interface Named {
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** Lists the names and addresses of a request in the spelling of claims. */
export function listClaimedNames({ dnsNames = [], ipAddresses = [] }: Named): readonly string[] {
  return [...dnsNames.map((name) => name.toLowerCase()), ...ipAddresses.map((text) => canonicalIp(text) ?? text)];
}

/** The user of a certificate that is not for clients. */
const NO_USER = { username: "" };

/** Lists what a certificate in the register claims: nothing once it is revoked or its record was removed. */
export function listRecordedClaims(record: IssuedCertificate): readonly NameClaim[] {
  const { spec, status } = record;
  if (status.revocation !== undefined || spec.removed !== undefined || spec.isCA === true) return [];
  const { usages = [], requester, subject = "", publicKeyFingerprint = "", notAfter } = spec;
  const identity = usages.includes("client auth") ? readIdentity(record) : NO_USER;
  // The names of an unknown user belong to no other user.
  const holder = identity === undefined ? undefined : identity.username || requester?.username || subject;
  const end = notAfter === null ? undefined : new Date(notAfter);
  return listClaimedNames(spec).map((name) => ({ name, holder, publicKeyFingerprint, notAfter: end }));
}

/** Lists what an approved request without a certificate claims; a certificate is in the register. */
export function listRequestClaims(csr: CertificateSigningRequest): readonly NameClaim[] {
  if (!isApproved(csr) || hasCertificate(csr)) return [];
  const request = parseRequest(csr.spec.request);
  if (!request.ok) return [];
  const publicKeyFingerprint = computeKeyFingerprint(request.value);
  const isIdentity = csr.spec.usages?.includes("client auth") === true;
  const holder = isIdentity ? request.value.subject.commonName : csr.spec.username ?? "";
  return listClaimedNames(request.value).map((name) => ({ name, holder, publicKeyFingerprint, notAfter: undefined }));
}

/**
 * Finds a name of a request that another user holds. The same key is the same machine, so that an interrupted request can
 * be repeated. Many machines share a bootstrap token, so its user holds nothing.
 */
export function findForeignClaim(
  claims: readonly NameClaim[],
  { csr, request, now }: {
    readonly csr: CertificateSigningRequest;
    readonly request: RequestFacts;
    readonly now: Date;
  },
): NameClaim | undefined {
  const names = new Set(listClaimedNames(request));
  const key = computeKeyFingerprint(request);
  const { username = "" } = csr.spec;
  const isShared = username.startsWith(BOOTSTRAP_USER_PREFIX);
  return claims.find(({ name, holder, publicKeyFingerprint, notAfter }) =>
    names.has(name) && publicKeyFingerprint !== key && (isShared || holder !== username) &&
    (notAfter === undefined || now < notAfter)
  );
}
