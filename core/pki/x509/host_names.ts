/**
 * Matches a serving certificate with a host by its subject alternative names alone, as Go's `VerifyHostname` does (RFC 6125
 * without its legacy parts): a common name does not count, and a wildcard must be the whole first label.
 */
import type { CertificateFacts } from "./certificate.ts";
import { canonicalIp, withoutBrackets } from "../../lib/ip_address.ts";

/** Describes a mismatch in Go's words; undefined when the certificate is for the host. An IPv6 address may have brackets. */
export function findHostFault(certificate: CertificateFacts, host: string): string | undefined {
  const { dnsNames, ipAddresses } = certificate;
  const address = canonicalIp(withoutBrackets(host));
  if (address !== undefined) {
    if (ipAddresses.includes(address)) return undefined;
    if (ipAddresses.length === 0) {
      return `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
    }
    return `x509: certificate is valid for ${ipAddresses.join(", ")}, not ${host}`;
  }
  const wanted = host.replace(/\.$/, "").toLowerCase();
  if (dnsNames.some((name) => matchesHost(name.toLowerCase(), wanted))) return undefined;
  const { emailAddresses, uris } = certificate;
  const hasNoNames = [dnsNames, ipAddresses, emailAddresses, uris].every((names) => names.length === 0);
  if (hasNoNames && certificate.subject.commonName !== "") {
    return "x509: certificate relies on legacy Common Name field, use SANs instead";
  }
  return dnsNames.length === 0
    ? `x509: certificate is not valid for any names, but wanted to match ${host}`
    : `x509: certificate is valid for ${dnsNames.join(", ")}, not ${host}`;
}

/** Reports whether a name matches a host, both in lower case. */
function matchesHost(name: string, host: string): boolean {
  if (!name.startsWith("*.")) return name === host && !name.includes("*");
  const dot = host.indexOf(".");
  // The rest of the name has no asterisk, and the label that the asterisk stands for is not empty.
  return dot > 0 && host.slice(dot) === name.slice(1) && !name.slice(1).includes("*");
}
