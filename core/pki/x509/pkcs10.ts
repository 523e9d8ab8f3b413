/** Parses PKCS#10 certification requests (RFC 2986) as Go's x509 does, into plain facts, and creates them. */
import type { SignatureAlgorithm } from "../../ports.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import {
  type Bytes,
  contextTag,
  decodeBoolean,
  decodeOid,
  decodeSignature,
  decodeSmallInteger,
  DerError,
  DerReader,
  TAG,
  toResult,
} from "../asn1/der.ts";
import {
  encodeBitString,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
  encodeValue,
} from "../asn1/der_writer.ts";
import type { HashName, PrivateKey } from "../keys/keys.ts";
import { isMlDsa, type KeyAlgorithmOptions } from "../keys/key_names.ts";
import { type DistinguishedName, encodeName, parseName, type SubjectFields } from "./names.ts";
import { parsePublicKey, type PublicKeyAlgorithm, type PublicKeyFacts } from "../keys/public_key.ts";
import {
  encodeSignatureAlgorithm,
  findSignatureFault,
  parseSignatureAlgorithm,
  type SignatureAlgorithmFacts,
  type SignedBytes,
} from "../keys/signature.ts";
import {
  type AlternativeNames,
  encodeAlternativeNames,
  NO_ALTERNATIVE_NAMES,
  parseAlternativeNames,
  SUBJECT_ALT_NAME_OID,
} from "./subject_alternative_names.ts";

/** A requested extension, which signers never copy. */
export interface RequestedExtension {
  readonly oid: string;
  readonly critical: boolean;
}

/** The contents of a request, frozen. Nothing in it is trustworthy until `verifyRequestSignature` succeeds. */
export interface RequestFacts extends AlternativeNames {
  readonly der: Uint8Array<ArrayBuffer>;
  readonly version: number;
  readonly subject: DistinguishedName;
  /** The number of subject alternative names that are not DNS, email, IP or URI. */
  readonly otherNames: number;
  /** The public key as DER of SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  readonly keyAlgorithm: PublicKeyAlgorithm;
  readonly keyBits: number;
  /** Go's name, such as `ECDSA-SHA256`; the OID when Go has none. */
  readonly signatureAlgorithm: string;
  readonly requestedExtensions: readonly RequestedExtension[];
  /** The signed bytes, which the signature covers. */
  readonly signedDer: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
  readonly algorithm: SignatureAlgorithmFacts;
  readonly publicKey: PublicKeyFacts;
}

/** The requested subject and names. */
export interface RequestOptions extends Partial<AlternativeNames> {
  readonly subject: SubjectFields;
}

const EXTENSION_REQUEST_OID = "1.2.840.113549.1.9.14";
const ATTRIBUTES = contextTag(0, true);
const NO_NAMES = { ...NO_ALTERNATIVE_NAMES, otherNames: 0 };

/** Parses a request; the error is the parser's text as the API reports it (`pkg/apis/certificates/helpers.go` ParseCSR). */
export function parseCertificationRequest(der: Uint8Array<ArrayBuffer>): Result<RequestFacts, string> {
  return toResult(() => readRequest(der));
}

/**
 * Verifies that the request is signed by its own key. SHA-1 is accepted, MD5 is not; the texts are Go's (`crypto/x509`
 * CheckSignature).
 */
export function verifyRequestSignature(
  facts: RequestFacts,
  options: KeyAlgorithmOptions = {},
): Result<true, string> {
  const fault = findSignatureFault(toSignedBytes(facts, options));
  return fault === undefined ? ok(true) : err(fault.message);
}

/** Returns the input of the verification of a request. */
export function toSignedBytes(facts: RequestFacts, { allowMlDsa = false }: KeyAlgorithmOptions): SignedBytes {
  const { algorithm, publicKey: key, signedDer: data, signature } = facts;
  return { algorithm, key, data, signature, allowSha1: true, allowMlDsa };
}

/**
 * Creates and signs a request. Names become a requested subjectAltName extension; without names there are no
 * attributes. The hash depends on the curve or the RSA key size (client-go `util/cert/csr.go` MakeCSRFromTemplate).
 * Throws AppError `invalid` for a name that cannot be encoded.
 */
export function createCertificationRequest(options: RequestOptions, key: PrivateKey): Uint8Array<ArrayBuffer> {
  const names = encodeAlternativeNames({ ...NO_NAMES, ...options });
  const attributes = names === undefined ? [] : [encodeExtensionRequest(names)];
  const signed = encodeSequence(
    encodeSmallInteger(0),
    encodeName(options.subject),
    key.publicKeyDer(),
    encodeValue(ATTRIBUTES, ...attributes),
  );
  const { name, hash } = chooseAlgorithm(key);
  return encodeSequence(signed, encodeSignatureAlgorithm(name), encodeBitString(key.sign(signed, hash)));
}

function readRequest(der: Bytes): RequestFacts {
  const outer = new DerReader(der);
  const request = outer.enter(TAG.sequence, "certificateRequest");
  const signed = request.read(TAG.sequence, "tbsCertificateRequest");
  const algorithm = parseSignatureAlgorithm(request.read(TAG.sequence, "AlgorithmIdentifier").content);
  const signature = decodeSignature(request.read(TAG.bitString, "BitString").content);
  outer.expectEnd();

  const body = signed.enter();
  const version = decodeSmallInteger(body.read(TAG.integer, "int").content);
  const subjectDer = body.readAny().raw;
  const publicKeyDer = body.read(TAG.sequence, "publicKeyInfo").raw;
  const attributes = body.enter(ATTRIBUTES, "attributes");
  const publicKey = parsePublicKey(publicKeyDer);
  const subject = parseName(subjectDer, "request");
  const extensions = readRequestedExtensions(attributes);
  const names = extensions.find(({ oid }) => oid === SUBJECT_ALT_NAME_OID);
  return Object.freeze({
    ...(names === undefined ? NO_NAMES : parseAlternativeNames(names.value)),
    der,
    version,
    subject,
    publicKeyDer,
    keyAlgorithm: publicKey.algorithm,
    keyBits: publicKey.bits,
    signatureAlgorithm: algorithm.name,
    requestedExtensions: Object.freeze(extensions.map(({ oid, critical }) => Object.freeze({ oid, critical }))),
    signedDer: signed.raw,
    signature,
    algorithm,
    publicKey,
  });
}

/** Reads every extension of every extensionRequest attribute; attributes of another shape are ignored, as Go does. */
function readRequestedExtensions(attributes: DerReader): readonly (RequestedExtension & { readonly value: Bytes })[] {
  const extensions: (RequestedExtension & { readonly value: Bytes })[] = [];
  const seen = new Set<string>();
  while (!attributes.isAtEnd()) {
    const list = findExtensionRequest(attributes.readAny().raw);
    if (list === undefined) continue;
    const own = new DerReader(list).enter(TAG.sequence, "");
    while (!own.isAtEnd()) {
      const extension = own.enterElement(TAG.sequence);
      const oid = decodeOid(extension.read(TAG.oid, "ObjectIdentifier").content);
      const critical = extension.readOptional(TAG.boolean);
      const value = extension.read(TAG.octetString, "").content;
      if (seen.has(oid)) throw new DerError("x509: certificate request contains duplicate requested extensions");
      seen.add(oid);
      extensions.push({ oid, critical: critical !== undefined && decodeBoolean(critical.content), value });
    }
  }
  return extensions;
}

/** Finds the first value of an extensionRequest attribute (RFC 2985 §5.4.2); undefined for any other attribute. */
function findExtensionRequest(attribute: Bytes): Bytes | undefined {
  try {
    const reader = new DerReader(attribute).enter(TAG.sequence, "attribute");
    const oid = decodeOid(reader.read(TAG.oid, "ObjectIdentifier").content);
    const values = reader.enter(TAG.set, "values");
    if (oid !== EXTENSION_REQUEST_OID || values.isAtEnd()) return undefined;
    const first = values.readAny().raw;
    while (!values.isAtEnd()) values.readAny();
    return first;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

function encodeExtensionRequest(names: Bytes): Bytes {
  const extension = encodeSequence(encodeOid(SUBJECT_ALT_NAME_OID), encodeOctetString(names));
  return encodeSequence(encodeOid(EXTENSION_REQUEST_OID), encodeSetOf([encodeSequence(extension)]));
}

function chooseAlgorithm(
  key: PrivateKey,
): { readonly name: SignatureAlgorithm | "SHA384-RSA" | "SHA512-RSA"; readonly hash: HashName } {
  // Both algorithms include their hash, so this one is not used.
  if (key.algorithm === "Ed25519" || isMlDsa(key.algorithm)) return { name: key.algorithm, hash: "sha512" };
  if (key.algorithm === "RSA") {
    if (key.bits >= 4096) return { name: "SHA512-RSA", hash: "sha512" };
    return key.bits >= 3072 ? { name: "SHA384-RSA", hash: "sha384" } : { name: "SHA256-RSA", hash: "sha256" };
  }
  if (key.bits <= 256) return { name: "ECDSA-SHA256", hash: "sha256" };
  return key.bits === 384 ? { name: "ECDSA-SHA384", hash: "sha384" } : { name: "ECDSA-SHA512", hash: "sha512" };
}
