/**
 * The certificates above a signer: what a CA file may hold beside the CA, what goes behind the certificates that it
 * issues, and what somebody who is to trust them is given (decision 8).
 */
import { err, ok, type Result } from "../lib/result.ts";
import type { Authority } from "./authority.ts";
import { parseCaBundle } from "./ca_bundle.ts";
import { type CertificateFacts, isSelfIssued, verifyCertificateSignature } from "./certificate.ts";
import { equalBytes } from "./der.ts";
import { formatName } from "./names.ts";
import { encodePem } from "./pem.ts";
import { findSignatureFault } from "./signature.ts";

/** A CA and those above it. */
export interface CertificateChain {
  readonly certificate: CertificateFacts;
  /** Nearest first; empty for a root. */
  readonly issuers: readonly CertificateFacts[];
}

/**
 * Reads a CA file that holds the CA first and behind it its issuers, each the issuer of the one before; a self-signed root
 * may end it. Names, signatures, CA:TRUE, keyCertSign and path lengths are checked, dates are not.
 */
export function parseAuthorityChain(pem: string): Result<CertificateChain, string> {
  const bundle = parseCaBundle(pem);
  if (!bundle.ok) return bundle;
  const [certificate, ...issuers] = bundle.value;
  if (certificate === undefined) return err("must contain at least one CERTIFICATE PEM block");
  for (const [index, one] of bundle.value.entries()) {
    const fault = findAuthorityFault(one) ?? findPathLengthFault(bundle.value.slice(0, index + 1));
    if (fault !== undefined) return err(index === 0 ? fault : `certificate ${label(index, one)}: ${fault}`);
    const next = bundle.value[index + 1];
    if (next === undefined) break;
    if (isSelfSigned(one)) {
      return err(
        `certificate ${label(index, one)} signed itself, so ${label(index + 1, next)} behind it is not its issuer`,
      );
    }
    if (!didIssue(next, one)) {
      return err(
        `certificate ${label(index + 1, next)} did not issue ${label(index, one)}: ` +
          "put the CA first and behind each certificate its issuer",
      );
    }
  }
  return ok({ certificate, issuers });
}

/** Why a certificate cannot be a CA's; undefined when it can. */
export function findAuthorityFault(certificate: CertificateFacts): string | undefined {
  if (!certificate.isCa) return "the certificate is not a CA (basic constraints do not say CA:TRUE)";
  if (certificate.keyUsages.length > 0 && !certificate.keyUsages.includes("keyCertSign")) {
    return "the certificate may not sign certificates (its key usage lacks keyCertSign)";
  }
  const [unknown] = certificate.unknownCriticalExtensions;
  return unknown === undefined ? undefined : `the certificate has an unknown critical extension (${unknown})`;
}

/** True when a certificate is a root: its own issuer, with its own signature; nobody leans on it, so SHA-1 will do. */
export function isSelfSigned(certificate: CertificateFacts): boolean {
  const { algorithm, publicKey: key, signedDer: data, signature } = certificate;
  return isSelfIssued(certificate) &&
    findSignatureFault({ algorithm, key, data, signature, allowSha1: true }) === undefined;
}

/** What goes behind each certificate that a CA issues: the CA and those above it, without a self-signed root. */
export function getIntermediates({ certificate, issuers }: CertificateChain): readonly CertificateFacts[] {
  return [certificate, ...issuers].filter((one) => !isSelfSigned(one));
}

/**
 * An issued certificate as a signer answers it: the leaf, then the intermediates. Who asks may have a word on them: all that
 * the CA's file holds, or none.
 */
export function encodeIssued(
  leafDer: Uint8Array,
  authority: Pick<Authority, "certificate" | "issuers" | "intermediates">,
  withChain?: boolean,
): string {
  const behind = withChain === undefined ? authority.intermediates : withChain ? getIntermediates(authority) : [];
  return encodePem("CERTIFICATE", leafDer) + encodeCertificates(behind);
}

/** What somebody who is to trust a CA's certificates is given: the CA, and the issuers that its file holds. */
export function encodeTrust({ certificate, issuers }: CertificateChain): string {
  return encodeCertificates([certificate, ...issuers]);
}

/** When the first certificate of a chain ends: what is issued holds no longer. */
export function chainNotAfter({ certificate, issuers }: CertificateChain): Date {
  return new Date(Math.min(...[certificate, ...issuers].map(({ notAfter }) => notAfter.getTime())));
}

/** Certificates as PEM, one block each. */
export function encodeCertificates(certificates: readonly CertificateFacts[]): string {
  return certificates.map(({ der }) => encodePem("CERTIFICATE", der)).join("");
}

function didIssue(issuer: CertificateFacts, subject: CertificateFacts): boolean {
  return equalBytes(issuer.subject.raw, subject.issuer.raw) && verifyCertificateSignature(subject, issuer);
}

/** The last one of a path allows so many CAs below it (RFC 5280 §4.2.1.9); one that renames nothing does not count. */
function findPathLengthFault(path: readonly CertificateFacts[]): string | undefined {
  const top = path.at(-1);
  if (top?.maxPathLength === undefined) return undefined;
  const below = path.slice(0, -1).filter((one) => !isSelfIssued(one)).length;
  if (below <= top.maxPathLength) return undefined;
  return `its path length ${top.maxPathLength} does not allow the ${below} ${below === 1 ? "CA" : "CAs"} before it`;
}

function label(index: number, { subject }: CertificateFacts): string {
  return `${index + 1} "${formatName(subject)}"`;
}
