/**
 * Client certificates (`apiserver/pkg/authentication/request/x509/x509.go`). The TLS layer verified the chain at the
 * handshake; this file checks at every request that the certificate is still valid, and `identifyCertificate` finds the user.
 */
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { verifyChain } from "../../core/pki/x509/chain.ts";
import { isMlDsa, type KeyAlgorithmOptions } from "../../core/pki/keys/key_algorithm.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { identifyCertificate } from "../../core/register/certificate_user.ts";
import type { MethodResult, PeerCertificate } from "./authentication.ts";

/** The result of the method; a user comes with the certificate. */
export type CertificateResult =
  | Exclude<MethodResult, { readonly kind: "user" }>
  | { readonly kind: "user"; readonly user: UserInfo; readonly leaf: CertificateFacts };

/** A parsed and verified certificate, cached because a connection sends many requests. */
interface KnownPeer {
  readonly user: CertificateResult;
  /** The fingerprint of the CA at which the verified path ends. */
  readonly root: string | undefined;
  /** The start of the time in which every certificate of the chain is valid. */
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Creates the method. `roots` returns the CAs that are trusted at the moment; without any, certificates are ignored.
 * Results are cached per connection, but at every request the dates are checked, and that the CA is still trusted: its
 * removal must also reach open connections and resumed sessions.
 */
export function createClientCertificateAuthenticator(
  roots: () => readonly CertificateFacts[],
  options: KeyAlgorithmOptions = {},
): (peer: PeerCertificate | undefined, now: Date) => CertificateResult {
  const known = new WeakMap<PeerCertificate, KnownPeer>();
  return (peer, now) => {
    const trusted = roots();
    if (peer === undefined || trusted.length === 0) return { kind: "none" };
    if (peer.kind === "unverified") return failed(peer.reason);
    const cached = known.get(peer);
    if (
      cached !== undefined && now >= cached.notBefore && now <= cached.notAfter &&
      trusted.some(({ sha256Fingerprint }) => sha256Fingerprint === cached.root)
    ) {
      return cached.user;
    }
    const read = readPeer(peer.chain, trusted, now, options);
    if (!read.ok) return failed(read.error);
    known.set(peer, read.value);
    return read.value.user;
  };
}

/** Parses the certificates that a client presented, leaf first. The error is the parser's text. */
export function parsePeerChain(
  chain: readonly Uint8Array<ArrayBuffer>[],
): Result<readonly CertificateFacts[], string> {
  const certificates: CertificateFacts[] = [];
  for (const der of chain) {
    const facts = parseCertificate(der);
    if (!facts.ok) return facts;
    certificates.push(facts.value);
  }
  return ok(certificates);
}

function readPeer(
  chain: readonly Uint8Array<ArrayBuffer>[],
  roots: readonly CertificateFacts[],
  now: Date,
  { allowMlDsa = false }: KeyAlgorithmOptions,
): Result<KnownPeer, string> {
  const certificates = parsePeerChain(chain);
  if (!certificates.ok) return certificates;
  const [leaf, ...issuers] = certificates.value;
  if (leaf === undefined) return err("no certificate");
  // kube-apiserver 1.37 ends the handshake with such a certificate, because Go 1.26 does not know the key.
  if (isMlDsa(leaf.keyAlgorithm) && !allowMlDsa) {
    return err(`its key is ${leaf.keyAlgorithm}, which needs --feature-gates=MLDSA=true`);
  }
  // The handshake may be long ago, and the CAs that the TLS layer trusted then may be removed by now.
  const path = verifyChain(leaf, issuers, roots, { at: now, usage: "client" });
  if (!path.ok) return err(`verifying certificate SN=${leaf.serialNumber} failed: ${path.error}`);
  const dates = (pick: (certificate: CertificateFacts) => Date) => path.value.map((one) => pick(one).getTime());
  const identified = identifyCertificate(leaf);
  return ok({
    user: identified.kind === "user" ? { ...identified, leaf } : identified,
    root: path.value.at(-1)?.sha256Fingerprint,
    notBefore: new Date(Math.max(...dates(({ notBefore }) => notBefore))),
    notAfter: new Date(Math.min(...dates(({ notAfter }) => notAfter))),
  });
}

function failed(reason: string): CertificateResult {
  return { kind: "failed", reason: `client certificate: ${reason}` };
}
