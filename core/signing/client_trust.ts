/** Decides whether an API that trusts client certificates of some CAs also trusts those of another CA. */
import type { Authority } from "../pki/authority/authority.ts";
import { type CertificateFacts, isSelfIssued, verifyCertificateSignature } from "../pki/x509/certificate.ts";
import { equalBytes } from "../pki/asn1/der.ts";
import { publicKeysEqual } from "../pki/keys/keys.ts";
import type { ClientTrust } from "./plan.ts";
import { BUILTIN_SIGNERS } from "./profile.ts";

/**
 * Reports whether the CA or one of its issuers is trusted; undefined when the highest known issuer has an unknown
 * issuer, which may itself be below a trusted CA.
 */
export function findClientTrust(
  { certificate, issuers = [] }: Pick<Authority, "certificate"> & Partial<Pick<Authority, "issuers">>,
  believed: readonly CertificateFacts[],
): boolean | undefined {
  const known = [certificate, ...issuers];
  const isBelieved = believed.some((ca) => known.some((one) => isSameOrIssuer(ca, one)));
  if (isBelieved) return true;
  const top = issuers.at(-1) ?? certificate;
  return believed.length === 0 || isSelfIssued(top) ? false : undefined;
}

/** Decides what a signer assumes. When it is unknown, Kubernetes' own signers act as upstream, and others are cautious. */
export function decideClientTrust(signerName: string, isTrusted: boolean | undefined): ClientTrust {
  if (isTrusted === undefined) return BUILTIN_SIGNERS.has(signerName) ? "distrusted" : "unknown";
  return isTrusted ? "trusted" : "distrusted";
}

function isSameOrIssuer(ca: CertificateFacts, certificate: CertificateFacts): boolean {
  return publicKeysEqual(ca.publicKeyDer, certificate.publicKeyDer) ||
    (equalBytes(ca.subject.raw, certificate.issuer.raw) && verifyCertificateSignature(certificate, ca));
}
