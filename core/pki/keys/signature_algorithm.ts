/** Signature algorithms: their identifiers, their names in Go's words, and their DER. */
import type { SignatureAlgorithm } from "../../ports.ts";
import { type Bytes, contextTag, decodeOid, decodeSmallInteger, DerError, DerReader, TAG } from "../asn1/der.ts";
import { encodeNull, encodeOid, encodeSequence } from "../asn1/der_writer.ts";
import { ML_DSA } from "./ml_dsa.ts";
import type { PublicKeyAlgorithm } from "./public_key.ts";

/** The hash functions of supported signatures. */
export type HashName = "sha1" | "sha256" | "sha384" | "sha512";

/** A signature algorithm, parsed from an AlgorithmIdentifier. */
export interface SignatureAlgorithmFacts {
  /** Go's name, such as `ECDSA-SHA256`; the OID when Go has none. */
  readonly name: string;
  readonly keyAlgorithm: PublicKeyAlgorithm;
  readonly hash: HashName | "md5" | "none";
  readonly isPss: boolean;
}

interface Row extends SignatureAlgorithmFacts {
  readonly oid: string;
}

function row(
  name: string,
  oid: string,
  keyAlgorithm: PublicKeyAlgorithm,
  hash: SignatureAlgorithmFacts["hash"],
  isPss = false,
): Row {
  return Object.freeze({ name, oid, keyAlgorithm, hash, isPss });
}

const PSS_OID = "1.2.840.113549.1.1.10";
const MGF1_OID = "1.2.840.113549.1.1.8";

/** RFC 3279 §2.2, RFC 4055 §5, RFC 5758 §3, RFC 8410 §3, RFC 9881 §2 (`crypto/x509/x509.go`; ML-DSA since Go 1.27). */
const ROWS: readonly Row[] = [
  row("MD5-RSA", "1.2.840.113549.1.1.4", "RSA", "md5"),
  row("SHA1-RSA", "1.2.840.113549.1.1.5", "RSA", "sha1"),
  // The ISO name of the same algorithm, written by old Microsoft tools.
  row("SHA1-RSA", "1.3.14.3.2.29", "RSA", "sha1"),
  row("SHA256-RSA", "1.2.840.113549.1.1.11", "RSA", "sha256"),
  row("SHA384-RSA", "1.2.840.113549.1.1.12", "RSA", "sha384"),
  row("SHA512-RSA", "1.2.840.113549.1.1.13", "RSA", "sha512"),
  row("DSA-SHA1", "1.2.840.10040.4.3", "DSA", "sha1"),
  row("DSA-SHA256", "2.16.840.1.101.3.4.3.2", "DSA", "sha256"),
  row("ECDSA-SHA1", "1.2.840.10045.4.1", "ECDSA", "sha1"),
  row("ECDSA-SHA256", "1.2.840.10045.4.3.2", "ECDSA", "sha256"),
  row("ECDSA-SHA384", "1.2.840.10045.4.3.3", "ECDSA", "sha384"),
  row("ECDSA-SHA512", "1.2.840.10045.4.3.4", "ECDSA", "sha512"),
  row("Ed25519", "1.3.101.112", "Ed25519", "none"),
  ...ML_DSA.map(({ name, oid }) => row(name, oid, name, "none")),
];

const PSS_ROWS: readonly (Row & { readonly hashOid: string; readonly saltLength: number })[] = [
  { ...row("SHA256-RSAPSS", PSS_OID, "RSA", "sha256", true), hashOid: "2.16.840.1.101.3.4.2.1", saltLength: 32 },
  { ...row("SHA384-RSAPSS", PSS_OID, "RSA", "sha384", true), hashOid: "2.16.840.1.101.3.4.2.2", saltLength: 48 },
  { ...row("SHA512-RSAPSS", PSS_OID, "RSA", "sha512", true), hashOid: "2.16.840.1.101.3.4.2.3", saltLength: 64 },
];

const ROW_OF_OID: ReadonlyMap<string, Row> = new Map(ROWS.map((entry) => [entry.oid, entry]));
const ROW_OF_NAME: ReadonlyMap<string, Row> = new Map(ROWS.toReversed().map((entry) => [entry.name, entry]));

/** Parses the content of an AlgorithmIdentifier; an algorithm that Go does not know has the key algorithm `unknown`. */
export function parseSignatureAlgorithm(content: Bytes): SignatureAlgorithmFacts {
  const reader = new DerReader(content);
  const oid = decodeOid(reader.read(TAG.oid, "ObjectIdentifier").content);
  const parameters = reader.isAtEnd() ? undefined : reader.readAny();
  const unknown: SignatureAlgorithmFacts = { name: oid, keyAlgorithm: "unknown", hash: "none", isPss: false };
  if (oid === PSS_OID) return (parameters && findPss(parameters.raw)) ?? unknown;
  const known = ROW_OF_OID.get(oid) ?? unknown;
  return known.hash === "none" && parameters !== undefined ? unknown : known;
}

/** Encodes the AlgorithmIdentifier of an algorithm; RSA has NULL parameters, the others have none. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm | "SHA384-RSA" | "SHA512-RSA"): Bytes {
  const entry = ROW_OF_NAME.get(algorithm);
  if (entry === undefined) throw new TypeError(`no such signature algorithm: ${algorithm}`);
  return entry.keyAlgorithm === "RSA"
    ? encodeSequence(encodeOid(entry.oid), encodeNull())
    : encodeSequence(encodeOid(entry.oid));
}

/**
 * RSASSA-PSS is accepted in Go's three shapes only: MGF1 with the message's hash, a salt as long as the hash, the default
 * trailer.
 */
function findPss(parameters: Bytes): SignatureAlgorithmFacts | undefined {
  try {
    const reader = new DerReader(parameters).enter(TAG.sequence, "pssParameters");
    const hash = readHash(reader.enter(contextTag(0, true), "Hash"));
    const mask = reader.enter(contextTag(1, true), "MGF").enter(TAG.sequence, "AlgorithmIdentifier");
    const maskOid = decodeOid(mask.read(TAG.oid, "ObjectIdentifier").content);
    const maskHash = readHash(mask);
    const salt = reader.enter(contextTag(2, true), "SaltLength").read(TAG.integer, "int").content;
    const trailer = reader.readOptional(contextTag(3, true));
    const trailerField = trailer === undefined
      ? 1
      : decodeSmallInteger(trailer.enter().read(TAG.integer, "int").content);
    if (maskOid !== MGF1_OID || maskHash !== hash || trailerField !== 1) return undefined;
    const saltLength = decodeSmallInteger(salt);
    return PSS_ROWS.find((entry) => entry.hashOid === hash && entry.saltLength === saltLength);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** Parses the hash of an AlgorithmIdentifier whose parameters are absent or NULL. */
function readHash(reader: DerReader): string {
  const algorithm = reader.enter(TAG.sequence, "AlgorithmIdentifier");
  const oid = decodeOid(algorithm.read(TAG.oid, "ObjectIdentifier").content);
  if (!algorithm.isAtEnd()) algorithm.read(TAG.null, "NULL");
  return oid;
}
