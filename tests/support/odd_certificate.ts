/** Certificates that our signers would not issue, for tests of verifiers. */
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import { contextTag, DerReader, TAG } from "../../core/pki/asn1/der.ts";
import {
  encodeBitString,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeTime,
  encodeTrue,
  encodeValue,
} from "../../core/pki/asn1/der_writer.ts";
import { parseIpAddress } from "../../core/lib/ip_address.ts";
import { encodeName } from "../../core/pki/x509/names.ts";

/** An extension as it is written, valid or not. */
export interface OddExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Bytes;
}

/** The parts of an RSA or ECDSA key that a certificate needs. */
export type OddKey = Pick<PrivateKey, "algorithm" | "publicKeyDer" | "sign">;

/** The contents of a certificate. */
export interface OddCertificate {
  /** Common names; the empty text is the empty name. */
  readonly subject: string;
  readonly issuer: string;
  readonly key: OddKey;
  readonly signer: OddKey;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The content of the INTEGER, written unchanged. */
  readonly serial: Bytes;
  readonly version: 1 | 3;
  readonly extensions: readonly OddExtension[];
  /** Whether the certificate is signed with SHA-1. */
  readonly isSha1?: boolean;
  /** Whether the signature's algorithm differs from the one in the signed part. */
  readonly hasTwoAlgorithms?: boolean;
}

const ECDSA_SHA1 = "1.2.840.10045.4.1";
const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const ECDSA_SHA384 = "1.2.840.10045.4.3.3";
const RSA_SHA1 = "1.2.840.113549.1.1.5";
const RSA_SHA256 = "1.2.840.113549.1.1.11";
const ASCII = new TextEncoder();

export function encodeOddCertificate(odd: OddCertificate): Bytes {
  const isSha1 = odd.isSha1 === true;
  const algorithm = odd.signer.algorithm === "RSA"
    ? encodeSequence(encodeOid(isSha1 ? RSA_SHA1 : RSA_SHA256), encodeNull())
    : encodeSequence(encodeOid(isSha1 ? ECDSA_SHA1 : ECDSA_SHA256));
  const extensions = odd.extensions.map(({ oid, critical, value }) =>
    encodeSequence(encodeOid(oid), ...(critical ? [encodeTrue()] : []), encodeOctetString(value))
  );
  const signed = encodeSequence(
    ...(odd.version === 1 ? [] : [encodeValue(contextTag(0, true), encodeSmallInteger(2))]),
    encodeValue(TAG.integer, odd.serial),
    algorithm,
    encodeName({ commonName: odd.issuer }),
    encodeSequence(encodeTime(odd.notBefore), encodeTime(odd.notAfter)),
    encodeName({ commonName: odd.subject }),
    odd.key.publicKeyDer(),
    ...(odd.version === 1 ? [] : [encodeValue(contextTag(3, true), encodeSequence(...extensions))]),
  );
  const signature = odd.signer.sign(signed, isSha1 ? "sha1" : "sha256");
  const outside = odd.hasTwoAlgorithms === true ? encodeSequence(encodeOid(ECDSA_SHA384)) : algorithm;
  return encodeSequence(signed, outside, encodeBitString(signature));
}

/** Lists the elements of a SEQUENCE with their tags, so that a test can change one and write them again. */
export function listElements(sequence: Bytes): readonly Bytes[] {
  const reader = new DerReader(sequence).enter(TAG.sequence, "");
  const elements: Bytes[] = [];
  while (!reader.isAtEnd()) elements.push(reader.readAny().raw);
  return elements;
}

export function basicConstraints(isCa: boolean, maxPathLength?: number): OddExtension {
  const length = maxPathLength === undefined ? [] : [encodeSmallInteger(maxPathLength)];
  return extension("2.5.29.19", encodeSequence(...(isCa ? [encodeTrue()] : []), ...length), true);
}

/** Encodes KeyUsage with bits as RFC 5280 numbers them. */
export function keyUsage(...bits: readonly number[]): OddExtension {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return extension("2.5.29.15", encodeBitString(Uint8Array.of(byte), 7 - Math.max(...bits)), true);
}

/** Encodes ExtKeyUsage with whole OIDs, or their last arcs below id-kp. */
export function extendedKeyUsage(...purposes: readonly (number | string)[]): OddExtension {
  const oids = purposes.map((one) => typeof one === "string" ? one : `1.3.6.1.5.5.7.3.${one}`);
  return extension("2.5.29.37", encodeSequence(...oids.map(encodeOid)));
}

/**
 * Encodes SubjectAltName with names such as `DNS:a.example`, `IP:10.0.0.1`, or `MAPPED:10.0.0.1` for an IPv4-mapped
 * IPv6 address.
 */
export function alternativeNames(...names: readonly string[]): OddExtension {
  return extension("2.5.29.17", encodeSequence(...names.map(generalName)));
}

/** Encodes NameConstraints with bases such as `DNS:example.org`, `IP:10.0.0.0/255.0.0.0`, `DIR:a`. */
export function nameConstraints(permitted: readonly string[], excluded: readonly string[] = []): OddExtension {
  const subtrees = (tag: number, bases: readonly string[]): readonly Bytes[] =>
    bases.length === 0
      ? []
      : [encodeValue(contextTag(tag, true), ...bases.map((base) => encodeSequence(generalName(base))))];
  return extension("2.5.29.30", encodeSequence(...subtrees(0, permitted), ...subtrees(1, excluded)), true);
}

/** Encodes a SubjectKeyIdentifier extension from a text. */
export function subjectKeyId(id: string): OddExtension {
  return extension("2.5.29.14", encodeOctetString(ASCII.encode(id)));
}

/** Encodes an AuthorityKeyIdentifier extension from a text. */
export function authorityKeyId(id: string): OddExtension {
  return extension("2.5.29.35", encodeSequence(encodeValue(contextTag(0, false), ASCII.encode(id))));
}

export function extension(oid: string, value: Bytes = encodeNull(), critical = false): OddExtension {
  return { oid, critical, value };
}

export function markCritical(odd: OddExtension): OddExtension {
  return { ...odd, critical: true };
}

function generalName(text: string): Bytes {
  const colon = text.indexOf(":");
  const [kind, value] = [text.slice(0, colon), text.slice(colon + 1)];
  switch (kind) {
    case "DNS":
      return encodeValue(contextTag(2, false), ASCII.encode(value));
    case "EMAIL":
      return encodeValue(contextTag(1, false), ASCII.encode(value));
    case "URI":
      return encodeValue(contextTag(6, false), ASCII.encode(value));
    case "DIR":
      return encodeValue(contextTag(4, true), encodeName({ commonName: value }));
    case "IP":
      return encodeValue(contextTag(7, false), ...value.split("/").map(parseAddressBytes));
    case "MAPPED":
      return encodeValue(contextTag(7, false), new Uint8Array(10), Uint8Array.of(0xff, 0xff), parseAddressBytes(value));
    default:
      throw new TypeError(`unknown kind of name: ${text}`);
  }
}

function parseAddressBytes(text: string): Bytes {
  const bytes = parseIpAddress(text);
  if (bytes === undefined) throw new TypeError(`not an IP address: ${text}`);
  return bytes;
}
