/**
 * Certificate revocation lists (RFC 5280 §5). They are written as Go's `x509.CreateRevocationList` writes them, and
 * read only as far as the next list of the same CA requires.
 */
import { Buffer } from "node:buffer";
import type { Result } from "../../lib/result.ts";
import { AppError } from "../../errors.ts";
import { CRL_REASON_CODES } from "../../kube/kinds/constants.ts";
import type { CertificateFacts } from "../x509/certificate.ts";
import { EXTENSION_OID } from "../x509/certificate_extensions.ts";
import {
  type Bytes,
  contextTag,
  decodeBoolean,
  decodeOid,
  decodeSignature,
  decodeUnsigned,
  DerError,
  DerReader,
  equalBytes,
  TAG,
  toResult,
} from "../asn1/der.ts";
import { readTime } from "../asn1/der_text.ts";
import {
  encodeBitString,
  encodeParts,
  encodeSequence,
  encodeSmallInteger,
  encodeTime,
  encodeUnsigned,
  encodeValue,
} from "../asn1/der_writer.ts";
import { chooseAlgorithm, computeKeyId, encodeExtension, type IssuingAuthority } from "./issue.ts";
import { type DistinguishedName, parseName } from "../x509/names.ts";
import {
  encodeSignatureAlgorithm,
  findSignatureFault,
  parseSignatureAlgorithm,
  type SignatureAlgorithmFacts,
} from "../keys/signature.ts";
import { decodeHex, encodeHex } from "../../lib/encodings.ts";

export type CrlReason = keyof typeof CRL_REASON_CODES;

/** The names of all reasons. */
// The keys of a constant are exactly the names of its type.
export const CRL_REASONS = Object.keys(CRL_REASON_CODES) as readonly CrlReason[];

/** A revoked certificate as a CRL lists it. */
export interface CrlEntry {
  /** The serial number in hexadecimal digits. */
  readonly serialNumber: string;
  /** The time of the revocation. It may be later than `thisUpdate`, because CRLs are backdated. */
  readonly revokedAt: Date;
  readonly reason: CrlReason;
}

/** The contents of a CRL except its issuer. */
export interface CrlPlan {
  /** Written in the given order; no serial number may occur twice. */
  readonly entries: readonly CrlEntry[];
  /** The CRL number, which must be larger than that of every earlier CRL of the CA; at most 20 bytes. */
  readonly number: bigint;
  /** Written to the second, rounded down. */
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
}

/** The contents of a CRL. Nothing in it is trustworthy until its signature is verified. */
export interface CrlFacts {
  readonly issuer: DistinguishedName;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
  /** The CRL number; undefined when there is none. */
  readonly number: bigint | undefined;
  /** The list of entries in DER, for `parseCrlEntries`; undefined for an empty list. */
  readonly entriesDer: Bytes | undefined;
  /** The signed bytes, which the signature covers. */
  readonly signedDer: Bytes;
  readonly signature: Bytes;
  readonly algorithm: SignatureAlgorithmFacts;
}

const CRL_NUMBER = "2.5.29.20";
const REASON_CODE = "2.5.29.21";
const ENUMERATED = 0x0a;
const VERSION_2 = encodeSmallInteger(1);
/** The longest CRL number that programs must handle (RFC 5280 §5.2.3). */
const MAX_NUMBER_BYTES = 20;
/** The number of entries to encode before other work may run, which takes a few milliseconds. */
const ENTRIES_PER_TURN = 1_000;
/** The number of low bits of a CRL number that are random. */
const RANDOM_BITS = 16n;

/**
 * Creates a CRL and signs it with the key of the CA. It calls `pause` between parts of a long list, so that other work
 * can run. Rejects with AppError `invalid` for a CRL number that is too large, and when the key does.
 */
export async function createCrl(
  plan: CrlPlan,
  authority: IssuingAuthority,
  pause: () => Promise<void>,
): Promise<Bytes> {
  const { subject, publicKey, publicKeyDer, subjectKeyId = computeKeyId(publicKeyDer) } = authority.certificate;
  const number = encodeNumber(plan.number);
  const algorithm = chooseAlgorithm(publicKey);
  const algorithmDer = encodeSignatureAlgorithm(algorithm);
  const keyId = encodeSequence(encodeValue(contextTag(0, false), decodeHex(subjectKeyId)));
  const extensions = encodeSequence(
    encodeExtension(EXTENSION_OID.authorityKeyId, false, keyId),
    encodeExtension(CRL_NUMBER, false, number),
  );
  const signed = encodeSequence(
    VERSION_2,
    algorithmDer,
    subject.raw,
    encodeTime(plan.thisUpdate),
    encodeTime(plan.nextUpdate),
    ...await encodeEntries(plan, pause),
    encodeValue(contextTag(0, true), extensions),
  );
  await pause();
  const signature = await authority.key.sign(signed, algorithm);
  await pause();
  return encodeSequence(signed, algorithmDer, encodeBitString(signature));
}

/**
 * Parses a CRL without its entries; nothing may follow it. CRLs of other programs are accepted, because only the number
 * and the times are used.
 */
export function parseCrl(der: Bytes): Result<CrlFacts, string> {
  return toResult(() => {
    const reader = new DerReader(der);
    const outer = reader.enter(TAG.sequence, "certificateList");
    reader.expectEnd();
    const signed = outer.read(TAG.sequence, "tbsCertList");
    const algorithmDer = outer.read(TAG.sequence, "signatureAlgorithm").content;
    const signature = decodeSignature(outer.read(TAG.bitString, "signatureValue").content);
    const body = signed.enter();
    body.readOptional(TAG.integer);
    if (!equalBytes(body.read(TAG.sequence, "signature").content, algorithmDer)) {
      throw new DerError("x509: inner and outer signature algorithm identifiers don't match");
    }
    const issuer = parseName(body.read(TAG.sequence, "issuer").raw, "certificate");
    const thisUpdate = readTime(body);
    const nextUpdate = body.isNext(TAG.utcTime) || body.isNext(TAG.generalizedTime) ? readTime(body) : undefined;
    const entriesDer = body.readOptional(TAG.sequence)?.raw;
    const extensions = body.readOptional(contextTag(0, true));
    const number = extensions === undefined ? undefined : readNumber(extensions.enter());
    const algorithm = parseSignatureAlgorithm(algorithmDer);
    const times = { thisUpdate, nextUpdate };
    return Object.freeze({ issuer, ...times, number, entriesDer, signedDer: signed.raw, signature, algorithm });
  });
}

/** Parses the entries of a CRL. A reason that tlsboot does not write is read as `unspecified`. */
export function parseCrlEntries({ entriesDer }: Pick<CrlFacts, "entriesDer">): Result<readonly CrlEntry[], string> {
  return toResult(() => {
    const entries: CrlEntry[] = [];
    if (entriesDer === undefined) return entries;
    const list = new DerReader(entriesDer).enter(TAG.sequence, "revokedCertificates");
    while (!list.isAtEnd()) {
      const entry = list.enter(TAG.sequence, "revokedCertificate");
      const serial = decodeUnsigned(entry.read(TAG.integer, "userCertificate").content);
      if (serial === undefined) throw new DerError("x509: negative serial number");
      const revokedAt = readTime(entry);
      const extensions = entry.readOptional(TAG.sequence)?.raw;
      const code = extensions === undefined ? undefined : findExtension(new DerReader(extensions), REASON_CODE);
      const found = code === undefined ? 0 : new DerReader(code).read(ENUMERATED, "reasonCode").content[0];
      const [reason = "unspecified"] = CRL_REASONS.filter((name) => CRL_REASON_CODES[name] === found);
      entries.push({ serialNumber: encodeHex(serial), revokedAt, reason });
    }
    return entries;
  });
}

/** Reports whether a CA issued a CRL, by the issuer's name and the signature. */
export function isCrlOf(
  { issuer, algorithm, signedDer: data, signature }: CrlFacts,
  { subject, publicKey: key }: Pick<CertificateFacts, "subject" | "publicKey">,
): boolean {
  return equalBytes(issuer.raw, subject.raw) &&
    findSignatureFault({ algorithm, key, data, signature, allowSha1: false, allowMlDsa: true, keepKey: true }) ===
      undefined;
}

/**
 * Finds out why programs refuse the CRLs of a CA; undefined when they accept them. RFC 5280 §6.3.3 (f) requires cRLSign
 * if the certificate of the CA has a key usage, and kubeadm's CAs lack it.
 */
export function findCrlSignFault({ keyUsages }: Pick<CertificateFacts, "keyUsages">): string | undefined {
  return keyUsages.length === 0 || keyUsages.includes("cRLSign")
    ? undefined
    : "the certificate of the CA does not allow it to sign CRLs (its key usage lacks cRLSign)";
}

/**
 * Chooses the number of the next CRL: the time in milliseconds followed by 16 random bits, and always larger than that
 * of the previous CRL. So servers that share a CA get different numbers without a common counter, and the numbers also
 * grow after a restore from an old backup.
 */
export function chooseCrlNumber(now: Date, random: Uint8Array, previous: bigint | undefined): bigint {
  const low = BigInt((random[0] ?? 0) * 256 + (random[1] ?? 0));
  const byTime = (BigInt(now.getTime()) << RANDOM_BITS) | low;
  return previous !== undefined && previous >= byTime ? previous + 1n : byTime;
}

/** Encodes the list of entries. An empty list is absent (RFC 5280 §5.1.2.6). */
async function encodeEntries(
  { entries }: CrlPlan,
  pause: () => Promise<void>,
): Promise<readonly Bytes[]> {
  if (entries.length === 0) return [];
  const parts: Uint8Array[] = [];
  for (let start = 0; start < entries.length; start += ENTRIES_PER_TURN) {
    parts.push(Buffer.concat(entries.slice(start, start + ENTRIES_PER_TURN).map(encodeEntry)));
    await pause();
  }
  return [encodeParts(TAG.sequence, parts)];
}

function encodeEntry({ serialNumber, revokedAt, reason }: CrlEntry): Bytes {
  const serial = encodeUnsigned(decodeHex(serialNumber));
  const date = encodeTime(revokedAt);
  const extension = REASON_EXTENSIONS.get(reason);
  return extension === undefined ? encodeSequence(serial, date) : encodeSequence(serial, date, extension);
}

/** The extensions of an entry by its reason. The reason `unspecified` is not written (RFC 5280 §5.3.1). */
const REASON_EXTENSIONS: ReadonlyMap<string, Bytes> = new Map(
  Object.entries(CRL_REASON_CODES).filter(([, code]) => code > 0).map(([reason, code]) => {
    const value = encodeValue(ENUMERATED, Uint8Array.of(code));
    return [reason, encodeSequence(encodeExtension(REASON_CODE, false, value))];
  }),
);

function encodeNumber(number: bigint): Bytes {
  const hex = number.toString(16);
  const encoded = encodeUnsigned(decodeHex(hex.length % 2 === 0 ? hex : `0${hex}`));
  if (encoded.length <= 2 + MAX_NUMBER_BYTES) return encoded;
  throw new AppError("invalid", `cannot create a CRL: its number has more than ${MAX_NUMBER_BYTES} bytes`, {
    hint: "move the file of the previous CRL away; its number is not from tlsboot",
  });
}

function readNumber(wrapper: DerReader): bigint | undefined {
  const content = findExtension(wrapper, CRL_NUMBER);
  if (content === undefined) return undefined;
  const digits = decodeUnsigned(new DerReader(content).read(TAG.integer, "cRLNumber").content);
  if (digits === undefined || digits.length > MAX_NUMBER_BYTES) throw new DerError("x509: invalid CRL number");
  return BigInt(`0x${encodeHex(digits)}`);
}

/** Finds the value of an extension; undefined when it is not in the list. */
function findExtension(wrapper: DerReader, wanted: string): Bytes | undefined {
  const list = wrapper.enter(TAG.sequence, "extensions");
  while (!list.isAtEnd()) {
    const extension = list.enter(TAG.sequence, "extension");
    const oid = decodeOid(extension.read(TAG.oid, "id").content);
    const critical = extension.readOptional(TAG.boolean);
    if (critical !== undefined) decodeBoolean(critical.content);
    const { content } = extension.read(TAG.octetString, "value");
    if (oid === wanted) return content;
  }
  return undefined;
}
