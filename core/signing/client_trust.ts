/** Whether an API that believes client certificates of some CAs would believe those of another. */
import type { Authority } from "../pki/authority.ts";
import { type CertificateFacts, isSelfIssued, verifyCertificateSignature } from "../pki/certificate.ts";
import { equalBytes } from "../pki/der.ts";
import { publicKeysEqual } from "../pki/keys.ts";
import type { ClientTrust } from "./plan.ts";
import { BUILTIN_SIGNERS } from "./profile.ts";

/**
 * True when the CA, or one above it, is among those believed; undefined when the highest one that is known has an issuer
 * that is not, for that one may be below one of them.
 */
export function findClientTrust(
  { certificate, issuers = [] }: Pick<Authority, "certificate"> & Partial<Pick<Authority, "issuers">>,
  believed: readonly CertificateFacts[],
): boolean | undefined {
  const known = [certificate, ...issuers];
  const isBelieved = believed.some((ca) => known.some((one) => isSameOrIssuer(ca, one)));
  if (isBelieved) return true;
  const top = known.at(-1) ?? certificate;
  return believed.length === 0 || isSelfIssued(top) ? false : undefined;
}

/** What a signer makes of that answer: where nobody knows, Kubernetes' own do as upstream, and others take no risk. */
export function decideClientTrust(signerName: string, isTrusted: boolean | undefined): ClientTrust {
  if (isTrusted === undefined) return BUILTIN_SIGNERS.has(signerName) ? "distrusted" : "unknown";
  return isTrusted ? "trusted" : "distrusted";
}

function isSameOrIssuer(ca: CertificateFacts, certificate: CertificateFacts): boolean {
  return publicKeysEqual(ca.publicKeyDer, certificate.publicKeyDer) ||
    (equalBytes(ca.subject.raw, certificate.issuer.raw) && verifyCertificateSignature(certificate, ca));
}
