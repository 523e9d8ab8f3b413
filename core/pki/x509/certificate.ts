/** Parses X.509 certificates (RFC 5280) as Go's x509 does, into plain facts. `issue.ts` creates certificates. */
import { hash } from "node:crypto";
import type { Result } from "../../lib/result.ts";
import { type ExtensionFacts, parseExtensions } from "./certificate_extensions.ts";
import {
  type Bytes,
  contextTag,
  decodeSignature,
  decodeSmallInteger,
  decodeUnsigned,
  DerError,
  DerReader,
  equalBytes,
  TAG,
  toResult,
  withText,
} from "../asn1/der.ts";
import { readTime } from "../asn1/der_text.ts";
import { type DistinguishedName, parseName } from "./names.ts";
import { parsePublicKey, type PublicKeyAlgorithm, type PublicKeyFacts } from "../keys/public_key.ts";
import { encodeHex } from "../../lib/encodings.ts";
import { findSignatureFault, parseSignatureAlgorithm, type SignatureAlgorithmFacts } from "../keys/signature.ts";

/** The contents of a certificate, frozen. Nothing in it is trustworthy until a chain is verified. */
export interface CertificateFacts extends ExtensionFacts {
  readonly der: Uint8Array<ArrayBuffer>;
  /** The version of the certificate: 1, 2 or 3. */
  readonly version: number;
  /** Lower-case hexadecimal, two digits per byte, without leading zero bytes. */
  readonly serialNumber: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The public key as DER of SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  readonly keyAlgorithm: PublicKeyAlgorithm;
  readonly keyBits: number;
  /** Go's name, such as `SHA256-RSA`; the OID when Go has none. */
  readonly signatureAlgorithm: string;
  /** Lower-case hexadecimal SHA-256 of the DER, as in the credential id `X509SHA256=…`. */
  readonly sha256Fingerprint: string;
  /** The signed bytes, which the signature covers. */
  readonly signedDer: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
  readonly algorithm: SignatureAlgorithmFacts;
  readonly publicKey: PublicKeyFacts;
}

const MAX_VERSION = 3;

/** Parses one certificate; nothing may follow it. The error has Go's words. */
export function parseCertificate(der: Uint8Array<ArrayBuffer>): Result<CertificateFacts, string> {
  return toResult(() => {
    const reader = new DerReader(der);
    const certificate = readCertificate(reader);
    if (!reader.isAtEnd()) throw new DerError("x509: trailing data");
    return certificate;
  });
}

/** Parses certificates written one after another, as Go's `x509.ParseCertificates` does; no bytes are no certificates. */
export function parseCertificates(der: Uint8Array<ArrayBuffer>): Result<readonly CertificateFacts[], string> {
  return toResult(() => {
    const reader = new DerReader(der);
    const certificates: CertificateFacts[] = [];
    while (!reader.isAtEnd()) certificates.push(readCertificate(reader));
    return certificates;
  });
}

/**
 * Reports whether the issuer's key made the certificate's signature. SHA-1 and MD5 are refused. It does not check
 * names, dates or whether the issuer is a CA; `verifyChain` does.
 */
export function verifyCertificateSignature(certificate: CertificateFacts, issuer: CertificateFacts): boolean {
  const { algorithm, signedDer: data, signature } = certificate;
  const key = issuer.publicKey;
  const checks = { allowSha1: false, allowMlDsa: true, keepKey: true };
  return findSignatureFault({ algorithm, key, data, signature, ...checks }) === undefined;
}

/** Reports whether subject and issuer are the same name. The signature may still be made by another key. */
export function isSelfIssued(certificate: CertificateFacts): boolean {
  return equalBytes(certificate.subject.raw, certificate.issuer.raw);
}

function readCertificate(reader: DerReader): CertificateFacts {
  const element = withText("x509: malformed certificate", () => reader.read(TAG.sequence, "certificate"));
  const der = element.raw;
  const outer = element.enter();
  const signed = withText("x509: malformed tbs certificate", () => outer.read(TAG.sequence, "tbsCertificate"));
  const body = signed.enter();
  const version = withText("x509: malformed version", () => readVersion(body));
  if (version > MAX_VERSION) throw new DerError("x509: invalid version");
  const serialNumber = readSerialNumber(body);
  const algorithm = readAlgorithm(body, outer);
  const issuerDer = withText("x509: malformed issuer", () => body.read(TAG.sequence, "issuer").raw);
  const issuer = parseName(issuerDer, "certificate");
  const validity = withText("x509: malformed validity", () => body.enter(TAG.sequence, "validity"));
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  // Go's text says "issuer" for the subject as well.
  const subjectDer = withText("x509: malformed issuer", () => body.read(TAG.sequence, "subject").raw);
  const subject = parseName(subjectDer, "certificate");
  const publicKeyDer = withText("x509: malformed spki", () => body.read(TAG.sequence, "subjectPublicKeyInfo").raw);
  const publicKey = readPublicKey(publicKeyDer);
  const extensions = parseExtensions(version === MAX_VERSION ? findExtensions(body) : undefined);
  const signature = withText(
    "x509: malformed signature",
    () => decodeSignature(outer.read(TAG.bitString, "signatureValue").content),
  );
  return Object.freeze({
    ...extensions,
    der,
    version,
    serialNumber,
    subject,
    issuer,
    notBefore,
    notAfter,
    publicKeyDer,
    keyAlgorithm: publicKey.algorithm,
    keyBits: publicKey.bits,
    signatureAlgorithm: algorithm.name,
    sha256Fingerprint: hash("sha256", der),
    signedDer: signed.raw,
    signature,
    algorithm,
    publicKey,
  });
}

function readSerialNumber(body: DerReader): string {
  const serial = withText("x509: malformed serial number", () => body.read(TAG.integer, "serialNumber").content);
  const digits = withText("x509: malformed serial number", () => decodeUnsigned(serial));
  if (digits === undefined) throw new DerError("x509: negative serial number");
  return encodeHex(digits);
}

/** Reads the signature algorithm, which occurs twice: in the signed part and next to the signature. */
function readAlgorithm(body: DerReader, outer: DerReader): SignatureAlgorithmFacts {
  const inner = withText(
    "x509: malformed signature algorithm identifier",
    () => body.read(TAG.sequence, "signature").content,
  );
  const outerAlgorithm = withText(
    "x509: malformed algorithm identifier",
    () => outer.read(TAG.sequence, "signatureAlgorithm").content,
  );
  if (!equalBytes(inner, outerAlgorithm)) {
    throw new DerError("x509: inner and outer signature algorithm identifiers don't match");
  }
  return withText("x509: malformed OID", () => parseSignatureAlgorithm(inner));
}

/** Parses the public key. Structural faults have one text, faults of the key have their own, as in Go. */
function readPublicKey(publicKeyDer: Bytes): PublicKeyFacts {
  try {
    return parsePublicKey(publicKeyDer);
  } catch (error) {
    if (error instanceof DerError && error.message.startsWith("asn1: ")) throw new DerError("x509: malformed spki");
    throw error;
  }
}

/** The version counted from 1; absent means 1. */
function readVersion(body: DerReader): number {
  const explicit = body.readOptional(contextTag(0, true));
  if (explicit === undefined) return 1;
  const version = explicit.enter();
  const number = decodeSmallInteger(version.read(TAG.integer, "version").content);
  version.expectEnd();
  if (number < 0) throw new DerError("negative version");
  return number + 1;
}

/** Finds the content of `Extensions`, which follows the two obsolete unique identifiers. */
function findExtensions(body: DerReader): Bytes | undefined {
  return withText("x509: malformed extensions", () => {
    body.readOptional(contextTag(1, false));
    body.readOptional(contextTag(2, false));
    const extensions = body.readOptional(contextTag(3, true));
    return extensions?.enter().read(TAG.sequence, "extensions").content;
  });
}
