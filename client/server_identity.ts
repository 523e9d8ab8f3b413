/**
 * Our own look at the certificates that a server showed, after the TLS layer believed them. It may refuse more, never
 * rescue. Node takes a common name for a host, and half a label for a wildcard. rustls, below Deno, takes issuers of X.509
 * version 1, such whose key usage does not let them sign, and roots outside their dates. OpenSSL takes RSA keys of any
 * size and with exponent 1.
 */
import { Buffer } from "node:buffer";
import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";
import { AppError } from "../core/errors.ts";
import { type CertificateFacts, isSelfIssued, parseCertificate } from "../core/pki/certificate.ts";
import { findKeyFault, verifyChain } from "../core/pki/chain.ts";
import { findHostFault } from "../core/pki/host_names.ts";
import { findNameFault, NO_SUBTREES } from "../core/pki/name_constraints.ts";
import { parsePemBlocks } from "../core/pki/pem.ts";
import type { AlternativeNames } from "../core/pki/subject_alternative_names.ts";
import type { Result } from "../core/lib/result.ts";

const NO_NAMES: AlternativeNames = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] };

/** Whom the client trusts. */
export interface ServerIdentityOptions {
  /** Without it the system's roots, which are not known here: then the names alone are looked at. */
  readonly caPem?: string | undefined;
  /**
   * Look at the path, too. Only below a TLS layer that tells every certificate that was shown: Node tells those alone that
   * it takes for the path, which is not always the one that OpenSSL found.
   */
  readonly verifiesPath: boolean;
  /** For the dates of roots, where `verifiesPath`; without it nobody looks at them. */
  readonly now?: (() => Date) | undefined;
  /** Stands in the error: `https://host:port`. */
  readonly origin: string;
}

/** For `checkServerIdentity` of `node:tls`: the error when the server is not to be believed. */
export type ServerIdentityCheck = (host: string, shown: PeerCertificate) => Error | undefined;

/** Makes the check: names by subject alternative names, and the path to one of the roots by `verifyChain`. */
export function createServerIdentityCheck(options: ServerIdentityOptions): ServerIdentityCheck {
  const { caPem, origin, verifiesPath, now } = options;
  const roots = caPem === undefined ? [] : readRoots(caPem);
  return (host, shown) => {
    const [leaf, ...behind] = listShownCertificates(shown).map((der) => parseCertificate(der));
    if (leaf === undefined || !leaf.ok) return untrusted(origin, leaf?.error ?? "it showed no certificate");
    const fault = findHostFault(leaf.value, host);
    if (fault !== undefined) {
      return new AppError(
        "tls_untrusted",
        `cannot trust "${origin}": its serving certificate is not valid for the name "${host}"`,
        { hint: HOST_HINT, cause: new Error(fault) },
      );
    }
    // What cannot be read leads nowhere; the path may do without it.
    const intermediates = behind.flatMap((one) => one.ok ? [one.value] : []);
    const keyFault = [leaf.value, ...intermediates.filter((one) => !isSelfIssued(one))]
      .map(findKeyFault).find((found) => found !== undefined);
    const addedFault = keyFault ?? findWildcardFault(leaf.value, intermediates);
    if (addedFault !== undefined) return untrusted(origin, addedFault);
    if (!verifiesPath || caPem === undefined) return undefined;
    // rustls has judged all dates but those of roots, by the machine's clock.
    const at = now?.();
    const current = roots.filter(({ notBefore, notAfter }) => at === undefined || (at >= notBefore && at <= notAfter));
    const verify = (believed: readonly CertificateFacts[]): Result<unknown, string> =>
      verifyChain(leaf.value, intermediates, believed, { at: undefined, usage: "server" });
    const path = verify(current);
    if (path.ok) return undefined;
    return untrusted(origin, verify(roots).ok ? "the root has expired or is not yet valid" : path.error);
  };
}

/** What a person does about a name that is missing. */
export const HOST_HINT =
  "use an address that the certificate names, set tls-server-name, or add the name to the server's certificate";

/**
 * A wildcard that covers what a CA excludes: OpenSSL compares the asterisk as it is, Go asks what it stands for. Else such a
 * CA could have a server that it must not name after all.
 */
function findWildcardFault({ dnsNames }: CertificateFacts, issuers: readonly CertificateFacts[]): string | undefined {
  const wildcards = { ...NO_NAMES, dnsNames: dnsNames.filter((name) => name.startsWith("*.")) };
  for (const { nameConstraints } of issuers) {
    if (nameConstraints === undefined) continue;
    const fault = findNameFault({ permitted: NO_SUBTREES, excluded: nameConstraints.excluded }, wildcards);
    if (fault !== undefined) return `x509: a CA has issued for a name that it must not: ${fault}`;
  }
  return undefined;
}

function untrusted(origin: string, why: string): AppError {
  return new AppError("tls_untrusted", `cannot trust "${origin}": its certificates break a rule: ${why}`, {
    hint: "look at the server's certificate and its CAs with: tlsboot inspect FILE",
  });
}

function readRoots(caPem: string): readonly CertificateFacts[] {
  return parsePemBlocks(caPem).flatMap(({ label, bytes }) => {
    const parsed = label === "CERTIFICATE" ? parseCertificate(bytes) : undefined;
    return parsed?.ok === true ? [parsed.value] : [];
  });
}

/** Leaf first; the root, whose issuer is itself, ends it. */
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
