/**
 * A second check of a server's certificates, after the TLS layer has accepted them. It can only refuse more. Node
 * accepts a common name as the host, and a wildcard for part of a label. rustls, which Deno uses, accepts issuers of
 * X.509 version 1, issuers whose key usage does not allow signing, and roots outside their validity. OpenSSL accepts
 * RSA keys of any size and with exponent 1.
 */
import { Buffer } from "node:buffer";
import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";
import { AppError } from "../../core/errors.ts";
import { findCertificates } from "../../core/pki/x509/ca_bundle.ts";
import { type CertificateFacts, isSelfIssued, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { findKeyFault, verifyChain } from "../../core/pki/x509/chain.ts";
import { findNameFault, NO_SUBTREES } from "../../core/pki/x509/name_constraints.ts";
import { NO_ALTERNATIVE_NAMES } from "../../core/pki/x509/subject_alternative_names.ts";
import type { Result } from "../../core/lib/result.ts";
import { canonicalIp, withoutBrackets } from "../../core/lib/ip_address.ts";

/** The roots that a client trusts, and how it checks them. */
export interface ServerIdentityOptions {
  /**
   * The trusted CAs. When absent, the system's roots are trusted; they are not known here, so only names are checked.
   */
  readonly caPem?: string | undefined;
  /**
   * Whether the path is checked too. That needs a TLS layer that reports every certificate the server sent. Node
   * reports only a path of its own, which is not always the one that OpenSSL found.
   */
  readonly verifiesPath: boolean;
  /** The time for the validity of roots, used with `verifiesPath`. When absent, it is not checked. */
  readonly now?: (() => Date) | undefined;
  /** The URL of the server for error messages, `https://host:port`. */
  readonly origin: string;
}

/** A `checkServerIdentity` of `node:tls`: returns the error for a server that is not trusted. */
export type ServerIdentityCheck = (host: string, shown: PeerCertificate) => Error | undefined;

/** Creates the check: names by subject alternative names, and the path to one of the roots by `verifyChain`. */
export function createServerIdentityCheck(options: ServerIdentityOptions): ServerIdentityCheck {
  const { caPem, origin, verifiesPath, now } = options;
  const roots = caPem === undefined ? [] : findCertificates(caPem);
  return (host, shown) => {
    const [leaf, ...behind] = listShownCertificates(shown).map((der) => parseCertificate(der));
    if (leaf === undefined || !leaf.ok) return createUntrustedError(origin, leaf?.error ?? "it sent no certificate");
    const fault = findHostFault(leaf.value, host);
    if (fault !== undefined) {
      return new AppError(
        "tls_untrusted",
        `cannot trust "${origin}": its serving certificate is not valid for the name "${host}"`,
        { hint: HOST_HINT, cause: new Error(fault) },
      );
    }
    // A certificate that cannot be parsed cannot be part of the path.
    const intermediates = behind.flatMap((one) => one.ok ? [one.value] : []);
    const keyFault = [leaf.value, ...intermediates.filter((one) => !isSelfIssued(one))]
      .map(findKeyFault).find((found) => found !== undefined);
    const addedFault = keyFault ?? findWildcardFault(leaf.value, intermediates);
    if (addedFault !== undefined) return createUntrustedError(origin, addedFault);
    if (!verifiesPath || caPem === undefined) return undefined;
    // rustls has checked every validity except that of roots, by the machine's clock.
    const at = now?.();
    const current = roots.filter(({ notBefore, notAfter }) => at === undefined || (at >= notBefore && at <= notAfter));
    const verify = (trusted: readonly CertificateFacts[]): Result<unknown, string> =>
      verifyChain(leaf.value, intermediates, trusted, { at: undefined, usage: "server" });
    const path = verify(current);
    if (path.ok) return undefined;
    return createUntrustedError(origin, verify(roots).ok ? "the root has expired or is not yet valid" : path.error);
  };
}

/** The hint for a host name that the certificate does not have. */
export const HOST_HINT =
  "use an address that the certificate names, set tls-server-name, or add the name to the server's certificate";

/**
 * Finds a wildcard that covers a name which a CA excludes. OpenSSL compares the asterisk literally, Go expands it.
 * Without this check, such a CA could certify a server for an excluded name.
 */
function findWildcardFault({ dnsNames }: CertificateFacts, issuers: readonly CertificateFacts[]): string | undefined {
  const wildcards = { ...NO_ALTERNATIVE_NAMES, dnsNames: dnsNames.filter((name) => name.startsWith("*.")) };
  for (const { nameConstraints } of issuers) {
    if (nameConstraints === undefined) continue;
    const fault = findNameFault({ permitted: NO_SUBTREES, excluded: nameConstraints.excluded }, wildcards);
    if (fault !== undefined) return `x509: a CA issued a certificate for a name that it must not: ${fault}`;
  }
  return undefined;
}

function createUntrustedError(origin: string, why: string): AppError {
  return new AppError("tls_untrusted", `cannot trust "${origin}": its certificates break a rule: ${why}`, {
    hint: "inspect the server's certificate and its CAs with: tlsboot inspect FILE",
  });
}

/** Lists the certificates leaf first; a root, whose issuer is itself, ends the list. */
function listShownCertificates(leaf: PeerCertificate): readonly Uint8Array<ArrayBuffer>[] {
  const chain = new Map<string, Uint8Array<ArrayBuffer>>();
  let next: Partial<DetailedPeerCertificate> | undefined = leaf;
  while (next?.raw !== undefined) {
    const key = Buffer.from(next.raw).toString("base64");
    if (chain.has(key)) break;
    chain.set(key, new Uint8Array(next.raw));
    next = next.issuerCertificate;
  }
  return [...chain.values()];
}

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
