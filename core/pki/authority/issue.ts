/**
 * Issues certificates from a plan. Only the parts of a request that the plan contains are used. The result is that of
 * Go's `x509.CreateCertificate` as kube-controller-manager calls it
 * (`pkg/controller/certificates/authority/authority.go`).
 */
import { hash } from "node:crypto";
import { findUnknownUsages, KEY_USAGE_BITS, toExtendedKeyUsageOids, toKeyUsageBits } from "../x509/usages.ts";
import { AppError } from "../../errors.ts";
import type { CaKey, SignatureAlgorithm } from "../../ports.ts";
import type { CertificateFacts } from "../x509/certificate.ts";
import { EXTENSION_OID, type PlannedExtension, planRevocationLists } from "../x509/certificate_extensions.ts";
import { type CertificateChain, encodeCertificates, getIntermediates } from "../x509/ca_bundle.ts";
import { type Bytes, contextTag, equalBytes, toResult } from "../asn1/der.ts";
import {
  encodeBitString,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeTime,
  encodeTrue,
  encodeUnsigned,
  encodeValue,
} from "../asn1/der_writer.ts";
import { encodePem } from "../asn1/pem.ts";
import { isMlDsa } from "../keys/key_names.ts";
import { encodeNameConstraints, type NameConstraints } from "../x509/name_constraints.ts";
import { type DistinguishedName, encodeName, type SubjectFields } from "../x509/names.ts";
import { parsePublicKey, type PublicKeyFacts } from "../keys/public_key.ts";
import { encodeSignatureAlgorithm } from "../keys/signature.ts";
import { type AlternativeNames, encodeAlternativeNames } from "../x509/subject_alternative_names.ts";
import { decodeHex } from "../../lib/encodings.ts";

/** The contents of a certificate except its serial number and issuer. */
export interface CertificatePlan extends AlternativeNames {
  readonly subject: SubjectFields;
  /**
   * The subject in DER, for a name that must be byte-identical to one in another certificate. Default: encoded from
   * `subject`.
   */
  readonly subjectDer?: Bytes;
  /** The public key as DER of SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  /** Written to the second, rounded down. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Kubernetes usage strings (`staging/src/k8s.io/api/certificates/v1/types.go`), mapped by `core/pki/x509/usages.ts`. */
  readonly usages: readonly string[];
  readonly isCa: boolean;
  /** Only with `isCa`: the hexadecimal identifier of the key. Default: `computeKeyId` of the public key. */
  readonly subjectKeyId?: string | undefined;
  /** The path length, allowed only with `isCa`. */
  readonly maxPathLength?: number | undefined;
  /** Only with `isCa`; written as a critical extension. */
  readonly nameConstraints?: NameConstraints | undefined;
  /** Additional extensions, which come last. */
  readonly extensions?: readonly PlannedExtension[];
}

/** The length of serial numbers: 128 random bits, as upstream, which are not checked for uniqueness. */
export const SERIAL_BYTES = 16;

/** The fields of an issuer's certificate that issuing needs, and its key. An `Authority` has both. */
export interface IssuingAuthority {
  readonly certificate: Pick<CertificateFacts, "publicKey" | "publicKeyDer" | "subjectKeyId"> & {
    readonly subject: Pick<DistinguishedName, "raw">;
  };
  readonly key: CaKey;
  /** The URL of the CA's CRL for every issued certificate whose plan has no other one. */
  readonly crlUrl?: string;
}

/**
 * Issues a certificate; `serial` are big-endian bytes (signers pass 16 random ones). Rejects with AppError `invalid` for a
 * plan that cannot be encoded: an unknown usage, a name of the wrong type, a path length or name constraints without a CA.
 */
export async function issueCertificate(
  plan: CertificatePlan,
  issuer: IssuingAuthority,
  serial: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const unknown = findUnknownUsages(plan.usages);
  if (unknown.length > 0) {
    const list = unknown.map((usage) => JSON.stringify(usage)).join(" ");
    throw new AppError("invalid", `unrecognized usage values: [${list}]`);
  }
  if (plan.maxPathLength !== undefined && !plan.isCa) {
    throw new AppError("invalid", "cannot plan a certificate: only a CA may have a path length");
  }
  if (plan.nameConstraints !== undefined && !plan.isCa) {
    throw new AppError("invalid", "cannot plan a certificate: only a CA may have name constraints");
  }
  const algorithm = chooseAlgorithm(issuer.certificate.publicKey);
  const algorithmDer = encodeSignatureAlgorithm(algorithm);
  const subjectDer = plan.subjectDer ?? encodeName(plan.subject);
  const signed = encodeSequence(
    VERSION_3,
    encodeUnsigned(serial),
    algorithmDer,
    issuer.certificate.subject.raw,
    encodeSequence(encodeTime(plan.notBefore), encodeTime(plan.notAfter)),
    subjectDer,
    plan.publicKeyDer,
    encodeValue(contextTag(3, true), encodeSequence(...encodeExtensions(plan, issuer, subjectDer))),
  );
  const signature = await issuer.key.sign(signed, algorithm);
  return encodeSequence(signed, algorithmDer, encodeBitString(signature));
}

/**
 * Chooses the algorithm of a CA's signatures by its key (Go `x509.CreateCertificate`). Throws AppError `key_invalid` for a
 * key that a CA cannot have.
 */
export function chooseSignatureAlgorithm(caPublicKeyDer: Uint8Array<ArrayBuffer>): SignatureAlgorithm {
  const parsed = toResult(() => parsePublicKey(caPublicKeyDer));
  if (!parsed.ok) throw new AppError("key_invalid", `cannot sign with a malformed key: ${parsed.error}`);
  return chooseAlgorithm(parsed.value);
}

/** Chooses the algorithm of a CA's signatures by its parsed key. Throws AppError `key_invalid` as `chooseSignatureAlgorithm`. */
export function chooseAlgorithm({ algorithm, curve }: PublicKeyFacts): SignatureAlgorithm {
  if (algorithm === "RSA") return "SHA256-RSA";
  if (algorithm === "Ed25519" || isMlDsa(algorithm)) return algorithm;
  if (algorithm !== "ECDSA") throw new AppError("key_invalid", `cannot sign with a key of type "${algorithm}"`);
  if (curve === "P-384") return "ECDSA-SHA384";
  return curve === "P-521" ? "ECDSA-SHA512" : "ECDSA-SHA256";
}

/**
 * Computes a key identifier in hexadecimal digits: the first 160 bits of SHA-256 over the key (RFC 7093 §2 method 1, as
 * Go since 1.25).
 */
export function computeKeyId(publicKeyDer: Bytes): string {
  return hash("sha256", parsePublicKey(publicKeyDer).keyBytes).slice(0, 40);
}

const VERSION_3 = encodeValue(contextTag(0, true), encodeSmallInteger(2));
const NO_NAME = encodeSequence();
const CRITICAL = encodeTrue();
/** The extension CA:FALSE of every certificate that is not a CA. */
const NO_AUTHORITY = encodeExtension(EXTENSION_OID.basicConstraints, true, encodeSequence());

/** Encodes the extensions in Go's order: KeyUsage, ExtKeyUsage, BasicConstraints, SubjectKeyId, AuthorityKeyId, SubjectAltName, NameConstraints. */
function encodeExtensions(
  plan: CertificatePlan,
  { certificate: issuer, crlUrl }: IssuingAuthority,
  subjectDer: Bytes,
): readonly Bytes[] {
  const extensions: Bytes[] = [];
  const keyUsage = encodeKeyUsage(plan.usages);
  if (keyUsage !== undefined) extensions.push(encodeExtension(EXTENSION_OID.keyUsage, true, keyUsage));
  const extended = toExtendedKeyUsageOids(plan.usages);
  if (extended.length > 0) {
    extensions.push(encodeExtension(EXTENSION_OID.extendedKeyUsage, false, encodeSequence(...extended.map(encodeOid))));
  }
  extensions.push(
    plan.isCa ? encodeExtension(EXTENSION_OID.basicConstraints, true, encodeAuthority(plan)) : NO_AUTHORITY,
  );
  if (plan.isCa) {
    const id = encodeOctetString(decodeHex(plan.subjectKeyId ?? computeKeyId(plan.publicKeyDer)));
    extensions.push(encodeExtension(EXTENSION_OID.subjectKeyId, false, id));
  }
  // As in Go, a self-issued certificate has no AuthorityKeyIdentifier. A CA that is certified by another key of the
  // same name needs one, because openssl treats a self-issued CA without it as a root.
  const isOwnKey = equalBytes(issuer.publicKey.keyBytes, parsePublicKey(plan.publicKeyDer).keyBytes);
  const hasSameName = equalBytes(issuer.subject.raw, subjectDer);
  if (issuer.subjectKeyId !== undefined && !(hasSameName && (isOwnKey || !plan.isCa))) {
    const id = encodeSequence(encodeValue(contextTag(0, false), decodeHex(issuer.subjectKeyId)));
    extensions.push(encodeExtension(EXTENSION_OID.authorityKeyId, false, id));
  }
  const names = encodeAlternativeNames(plan);
  if (names !== undefined) {
    extensions.push(encodeExtension(EXTENSION_OID.subjectAltName, equalBytes(subjectDer, NO_NAME), names));
  }
  if (plan.nameConstraints !== undefined) {
    extensions.push(encodeExtension(EXTENSION_OID.nameConstraints, true, encodeNameConstraints(plan.nameConstraints)));
  }
  const { extensions: planned = [] } = plan;
  const isListNamed = crlUrl === undefined || planned.some(({ oid }) => oid === EXTENSION_OID.crlDistributionPoints);
  for (const { oid, critical, value } of isListNamed ? planned : [...planned, planRevocationLists([crlUrl])]) {
    extensions.push(encodeExtension(oid, critical, value));
  }
  return extensions;
}

/** Encodes one extension of a certificate or a CRL (RFC 5280 §4.1). */
export function encodeExtension(oid: string, critical: boolean, value: Bytes): Bytes {
  const octets = encodeOctetString(value);
  return critical ? encodeSequence(encodeOid(oid), CRITICAL, octets) : encodeSequence(encodeOid(oid), octets);
}

/** Encodes the shortest BIT STRING that contains the highest bit (X.690 §11.2.2); undefined when no bit is set. */
function encodeKeyUsage(usages: readonly string[]): Bytes | undefined {
  const bits = toKeyUsageBits(usages).map((bit) => KEY_USAGE_BITS.indexOf(bit));
  const highest = bits.at(-1);
  if (highest === undefined) return undefined;
  const bytes = new Uint8Array((highest >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return encodeBitString(bytes, 7 - (highest & 7));
}

function encodeAuthority({ maxPathLength }: CertificatePlan): Bytes {
  return maxPathLength === undefined
    ? encodeSequence(encodeTrue())
    : encodeSequence(encodeTrue(), encodeSmallInteger(maxPathLength));
}

/**
 * Encodes an issued certificate: the leaf, then the intermediates. `withChain` overrides them: true for all
 * intermediates in the CA's file, false for none.
 */
export function encodeIssued(
  leafDer: Uint8Array,
  authority: CertificateChain & { readonly intermediates: readonly CertificateFacts[] },
  withChain?: boolean,
): string {
  const following = withChain === undefined ? authority.intermediates : withChain ? getIntermediates(authority) : [];
  return encodePem("CERTIFICATE", leafDer) + encodeCertificates(following);
}
