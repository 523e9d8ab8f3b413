/**
 * Is a serving certificate for a host? By its subject alternative names alone, as Go's `VerifyHostname` judges (RFC 6125
 * without its legacy parts): a common name does not count, and a wildcard is a whole label, the first one.
 */
import type { CertificateFacts } from "./certificate.ts";
import { canonicalIp } from "./ip_address.ts";

/** What is wrong, in Go's words; undefined when the certificate names the host. An IPv6 address may stand in brackets. */
export function findHostFault(certificate: CertificateFacts, host: string): string | undefined {
  const { dnsNames, ipAddresses } = certificate;
  const address = canonicalIp(host.replace(/^\[|\]$/g, ""));
  if (address !== undefined) {
    if (ipAddresses.includes(address)) return undefined;
    if (ipAddresses.length === 0) {
      return `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
    }
    return `x509: certificate is valid for ${ipAddresses.join(", ")}, not ${host}`;
  }
  const wanted = host.replace(/\.$/, "").toLowerCase();
  if (dnsNames.some((name) => matchesHost(name.toLowerCase(), wanted))) return undefined;
  const hasNoNames = dnsNames.length + ipAddresses.length + certificate.emailAddresses.length +
      certificate.uris.length === 0;
  if (hasNoNames && certificate.subject.commonName !== "") {
    return "x509: certificate relies on legacy Common Name field, use SANs instead";
  }
  return dnsNames.length === 0
    ? `x509: certificate is not valid for any names, but wanted to match ${host}`
    : `x509: certificate is valid for ${dnsNames.join(", ")}, not ${host}`;
}

/** Both in lower case. */
function matchesHost(name: string, host: string): boolean {
  if (!name.startsWith("*.")) return name === host && !name.includes("*");
  const dot = host.indexOf(".");
  // What stands behind the asterisk holds none, and the label that it stands for is not empty.
  return dot > 0 && host.slice(dot) === name.slice(1) && !name.slice(1).includes("*");
}
