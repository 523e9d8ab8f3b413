/** Whether an API that believes client certificates of some CAs would believe those of another. */
import type { Authority } from "../pki/authority.ts";
import { type CertificateFacts, isSelfIssued, verifyCertificateSignature } from "../pki/certificate.ts";
import { equalBytes } from "../pki/der.ts";
import { publicKeysEqual } from "../pki/keys.ts";

/**
 * True when the CA, or one that issued it, is among those believed; undefined when the CA has an issuer that is not, for
 * that one may be below one of them.
 */
export function findClientTrust(
  { certificate }: Pick<Authority, "certificate">,
  believed: readonly CertificateFacts[],
): boolean | undefined {
  const isBelieved = believed.some((ca) =>
    publicKeysEqual(ca.publicKeyDer, certificate.publicKeyDer) ||
    (equalBytes(ca.subject.raw, certificate.issuer.raw) && verifyCertificateSignature(certificate, ca))
  );
  if (isBelieved) return true;
  return believed.length === 0 || isSelfIssued(certificate) ? false : undefined;
}
