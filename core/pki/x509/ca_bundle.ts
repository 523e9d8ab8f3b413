/**
 * The certificates of CAs in PEM files: a bundle of CAs that a client or server trusts, and the chain of one CA
 * followed by its issuers (decision 8). A client merges the bundles of its cluster and decides which CAs it trusts.
 */
import { err, ok, type Result } from "../../lib/result.ts";
import { type CertificateFacts, isSelfIssued, parseCertificate, verifyCertificateSignature } from "./certificate.ts";
import { equalBytes } from "../asn1/der.ts";
import { encodePem, findPemBlock, parsePemBlocks } from "../asn1/pem.ts";
import { findSignatureFault } from "../keys/signature.ts";
import { formatName } from "./names.ts";

/**
 * Parses a bundle: at least one certificate and only `CERTIFICATE` blocks, each with one certificate and no headers. Text
 * between blocks is allowed. A malformed block is an error, because silently ignoring a CA would be worse.
 */
export function parseCaBundle(pem: string): Result<readonly CertificateFacts[], string> {
  const certificates: CertificateFacts[] = [];
  let rest = pem;
  for (let found = findPemBlock(rest); found !== undefined; found = findPemBlock(rest)) {
    const { block } = found;
    const position = certificates.length + 1;
    // A skipped block leaves a second BEGIN line in the consumed text.
    const consumed = rest.slice(0, rest.length - found.rest.length);
    if (countBegins(consumed) > 1) return err(`PEM block ${position} is malformed`);
    if (block.label !== "CERTIFICATE") return err(`only CERTIFICATE PEM blocks are allowed, found "${block.label}"`);
    if (Object.keys(block.headers).length > 0) return err("no PEM block headers are permitted");
    const parsed = parseCertificate(block.bytes);
    if (!parsed.ok) return err(`certificate ${position}: ${parsed.error}`);
    certificates.push(parsed.value);
    rest = found.rest;
  }
  if (countBegins(rest) > 0) return err(`PEM block ${certificates.length + 1} is malformed`);
  return certificates.length === 0 ? err("must contain at least one CERTIFICATE PEM block") : ok(certificates);
}

/** Lists the certificates of a bundle; none when it cannot be parsed. */
export function listBundled(pem: string): readonly CertificateFacts[] {
  const bundle = parseCaBundle(pem);
  return bundle.ok ? bundle.value : [];
}

/** Finds the valid certificates in a PEM text, and ignores everything else. */
export function findCertificates(pem: string): readonly CertificateFacts[] {
  return parsePemBlocks(pem).flatMap(({ label, bytes }) => {
    const parsed = label === "CERTIFICATE" ? parseCertificate(bytes) : undefined;
    return parsed?.ok === true ? [parsed.value] : [];
  });
}

function countBegins(text: string): number {
  return text.split("-----BEGIN ").length - 1;
}

/** The certificate of a CA and its issuers. */
export interface CertificateChain {
  readonly certificate: CertificateFacts;
  /** The issuers, nearest first; empty for a root. */
  readonly issuers: readonly CertificateFacts[];
}

/**
 * Parses a CA file in which each certificate is followed by its issuer, optionally up to a self-signed root. Names,
 * signatures, CA:TRUE, keyCertSign and path lengths are checked, but not dates.
 */
export function parseAuthorityChain(pem: string): Result<CertificateChain, string> {
  const bundle = parseCaBundle(pem);
  if (!bundle.ok) return bundle;
  const [certificate, ...issuers] = bundle.value;
  if (certificate === undefined) return err("must contain at least one CERTIFICATE PEM block");
  for (const [index, current] of bundle.value.entries()) {
    const fault = findAuthorityFault(current) ?? findPathLengthFault(bundle.value.slice(0, index + 1));
    if (fault !== undefined) return err(index === 0 ? fault : `certificate ${label(index, current)}: ${fault}`);
    const next = bundle.value[index + 1];
    if (next === undefined) {
      const damage = findRootDamage(current);
      if (damage !== undefined) return err(index === 0 ? damage : `certificate ${label(index, current)}: ${damage}`);
      break;
    }
    if (isSelfSigned(current)) {
      return err(
        `certificate ${label(index, current)} signed itself, so ${label(index + 1, next)} after it is not its issuer`,
      );
    }
    if (!didIssue(next, current)) {
      return err(
        `certificate ${label(index + 1, next)} did not issue ${label(index, current)}: ` +
          "put the CA first, and each issuer after its certificate",
      );
    }
  }
  return ok({ certificate, issuers });
}

/** Finds out why a certificate cannot be used as a CA; undefined when it can. */
export function findAuthorityFault(certificate: CertificateFacts): string | undefined {
  if (!certificate.isCa) return "the certificate is not a CA (basic constraints do not say CA:TRUE)";
  if (certificate.keyUsages.length > 0 && !certificate.keyUsages.includes("keyCertSign")) {
    return "the certificate may not sign certificates (its key usage lacks keyCertSign)";
  }
  const [unknown] = certificate.unknownCriticalExtensions;
  return unknown === undefined ? undefined : `the certificate has an unknown critical extension (${unknown})`;
}

/**
 * Reports whether a certificate is a self-signed root. SHA-1 is accepted, because no one relies on a root's signature.
 */
export function isSelfSigned(certificate: CertificateFacts): boolean {
  return isSelfIssued(certificate) && findOwnSignatureFault(certificate) === undefined;
}

function findOwnSignatureFault({ algorithm, publicKey: key, signedDer: data, signature }: CertificateFacts) {
  return findSignatureFault({ algorithm, key, data, signature, allowSha1: true, allowMlDsa: true });
}

/**
 * Finds out whether the signature of a root is damaged. Nothing else would detect a changed byte, because no one checks
 * the signature of a trusted root. A root that an earlier key of the same name signed is accepted, and so is an
 * algorithm that cannot be verified here.
 */
export function findRootDamage(certificate: CertificateFacts): string | undefined {
  const { authorityKeyId, subjectKeyId } = certificate;
  if (!isSelfIssued(certificate)) return undefined;
  if (authorityKeyId !== undefined && authorityKeyId !== subjectKeyId) return undefined;
  return findOwnSignatureFault(certificate)?.kind === "invalid"
    ? "its signature is not by its own key: the certificate was modified"
    : undefined;
}

/** Returns the certificates that follow an issued leaf: the CA and its issuers, without a self-signed root. */
export function getIntermediates({ certificate, issuers }: CertificateChain): readonly CertificateFacts[] {
  return [certificate, ...issuers].filter((ca) => !isSelfSigned(ca));
}

/**
 * Encodes the certificates that a client trusts: each CA and the issuers in its file. An issuer that several CAs have in
 * common is written once, because a ClusterTrustBundle must not contain a certificate twice.
 */
export function encodeTrust(...chains: readonly CertificateChain[]): string {
  const certificates = chains.flatMap(({ certificate, issuers }) => [certificate, ...issuers]);
  return encodeCertificates([...new Map(certificates.map((ca) => [ca.sha256Fingerprint, ca])).values()]);
}

/** Returns the earliest end in a chain, which limits every issued certificate. */
export function chainNotAfter({ certificate, issuers }: CertificateChain): Date {
  return new Date(Math.min(...[certificate, ...issuers].map(({ notAfter }) => notAfter.getTime())));
}

/** Encodes certificates as PEM, one block each. */
export function encodeCertificates(certificates: readonly CertificateFacts[]): string {
  return certificates.map(({ der }) => encodePem("CERTIFICATE", der)).join("");
}

/** Reports whether one certificate issued the other one, by names and signature. */
export function didIssue(issuer: CertificateFacts, subject: CertificateFacts): boolean {
  return equalBytes(issuer.subject.raw, subject.issuer.raw) && verifyCertificateSignature(subject, issuer);
}

/** Checks the path length of the last CA (RFC 5280 §4.2.1.9); self-issued certificates do not count. */
function findPathLengthFault(path: readonly CertificateFacts[]): string | undefined {
  const top = path.at(-1);
  if (top?.maxPathLength === undefined) return undefined;
  const below = path.slice(0, -1).filter((ca) => !isSelfIssued(ca)).length;
  if (below <= top.maxPathLength) return undefined;
  return `its path length ${top.maxPathLength} does not allow the ${below} ${below === 1 ? "CA" : "CAs"} before it`;
}

function label(index: number, { subject }: CertificateFacts): string {
  return `${index + 1} "${formatName(subject)}"`;
}

/** The number of the certificates in a bundle, and when the first of them expires. */
interface TrustBundleFacts {
  readonly certificates: number;
  /** Undefined when no certificate can be read. */
  readonly firstNotAfter: Date | undefined;
}

/**
 * Merges bundles as kubelet does for a projected volume: each certificate once, and nothing between the blocks
 * (`pkg/kubelet/clustertrustbundle/clustertrustbundle_manager.go`, `normalizeTrustAnchors`). kubelet shuffles the
 * certificates at each start; here the same certificates always give the same text.
 */
export function mergeTrustBundles(bundles: readonly string[]): string {
  const certificates = bundles.flatMap(parsePemBlocks).map(({ bytes }) => encodePem("CERTIFICATE", bytes));
  return [...new Set(certificates)].sort().join("");
}

/** Describes a bundle. Certificates that cannot be read are counted, but have no date. */
export function describeTrustBundle(bundle: string): TrustBundleFacts {
  const blocks = parsePemBlocks(bundle);
  const readable = blocks.map(({ bytes }) => parseCertificate(bytes)).filter((parsed) => parsed.ok);
  return { certificates: blocks.length, firstNotAfter: findFirstEnd(readable.map(({ value }) => value)) };
}

/** The CAs that a client should trust from now on, compared with those that it trusts. */
export type TrustDecision =
  /** The client already trusts exactly these CAs. */
  | { readonly kind: "same"; readonly fingerprints: readonly string[] }
  | {
    readonly kind: "changed";
    /** The new CAs, as PEM. */
    readonly pem: string;
    readonly fingerprints: readonly string[];
    /** How many CAs are new, and how many are no longer trusted. */
    readonly added: number;
    readonly removed: number;
  }
  /** The bundles cannot be used, and the client keeps its CAs. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * The largest number of trusted CAs, more than any cluster has. A handshake compares each of them, and a TrustReport
 * lists them.
 */
export const MAX_TRUSTED = 100;

/**
 * Decides which CAs a client trusts after it has received the bundles of its cluster. It trusts exactly those in the
 * bundles, so a replaced CA is dropped. The order of the certificates and the text between them do not matter.
 */
export function decideTrust(currentPem: string, bundles: readonly string[]): TrustDecision {
  const published = new Set<string>();
  for (const bundle of bundles) {
    const parsed = parseCaBundle(bundle);
    if (!parsed.ok) return { kind: "refused", reason: parsed.error };
    for (const { sha256Fingerprint } of parsed.value) published.add(sha256Fingerprint);
  }
  if (published.size === 0) return { kind: "refused", reason: "there is no bundle" };
  if (published.size > MAX_TRUSTED) {
    return { kind: "refused", reason: `${published.size} CAs, at most ${MAX_TRUSTED} are allowed` };
  }
  const known = new Set(listBundled(currentPem).map(({ sha256Fingerprint }) => sha256Fingerprint));
  const fingerprints = [...published].sort();
  const added = fingerprints.filter((fingerprint) => !known.has(fingerprint)).length;
  const removed = [...known].filter((fingerprint) => !published.has(fingerprint)).length;
  if (added + removed === 0) return { kind: "same", fingerprints };
  return { kind: "changed", pem: mergeTrustBundles(bundles), fingerprints, added, removed };
}

function findFirstEnd(certificates: readonly CertificateFacts[]): Date | undefined {
  return certificates.map(({ notAfter }) => notAfter).sort((a, b) => a.getTime() - b.getTime())[0];
}
