/** What rotation needs to know of a pair. */
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import type { RotationCertificate } from "../core/bootstrap/rotation.ts";

/** Its leaf, as `core/bootstrap/rotation` sees it. */
export function toRotationCertificate(pair: CredentialPair): RotationCertificate {
  const { notBefore, notAfter, subject, dnsNames, ipAddresses } = pair.leaf;
  const { commonName, organizations } = subject;
  return { notBefore, notAfter, commonName, organizations, dnsNames, ipAddresses };
}
