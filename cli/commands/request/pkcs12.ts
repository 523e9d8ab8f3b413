/**
 * Writes PKCS#12 files (RFC 7292): a key with its chain, as Java, Windows, Firefox and others import it. Keys and certificates
 * are encrypted with PBES2 and AES-256, and the file is authenticated with HMAC-SHA256, as OpenSSL 3 does by default.
 */
import { Buffer } from "node:buffer";
import { createHash, createHmac, hash } from "node:crypto";
import type { Random } from "../../../core/ports.ts";
import { type Bytes, contextTag, TAG } from "../../../core/pki/asn1/der.ts";
import {
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
  encodeValue,
} from "../../../core/pki/asn1/der_writer.ts";
import { encodePkcs8, encryptPbes2 } from "../../../core/pki/keys/encrypted_key.ts";
import type { PrivateKey } from "../../../core/pki/keys/keys.ts";

const OID = {
  data: "1.2.840.113549.1.7.1",
  encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.2",
  certificateBag: "1.2.840.113549.1.12.10.1.3",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
  sha256: "2.16.840.1.101.3.4.2.1",
} as const;

/**
 * The count for each of the three derivations. It is far above the 2,048 of OpenSSL and the 10,000 of Java, and the sum
 * stays below the 300,000 that .NET accepts at most.
 */
const ITERATIONS = 50_000;
const SALT_BYTES = 16;
/** The block size of SHA-256, which is the unit of the derivation in RFC 7292 appendix B.2. */
const BLOCK = 64;
/** The purpose of a derived key: material for a MAC (RFC 7292 appendix B.3). */
const MAC_PURPOSE = 3;

/** The contents of a PKCS#12 file. */
export interface Pkcs12Contents {
  readonly key: PrivateKey;
  /** The certificate of the key, in DER. */
  readonly certificate: Uint8Array;
  /** The certificates of the CAs above it, in DER. */
  readonly issuers: readonly Uint8Array[];
  /** The name of the entry, which programs show. */
  readonly name: string;
}

/** Encodes a PKCS#12 file that is protected by a password. */
export async function encodePkcs12(
  { key, certificate, issuers, name }: Pkcs12Contents,
  password: string,
  random: Random,
): Promise<Bytes> {
  const keyId = Buffer.from(hash("sha1", certificate, "hex"), "hex");
  const attributes = encodeSetOf([
    encodeSequence(encodeOid(OID.friendlyName), encodeSetOf([encodeValue(TAG.bmpString, toBmp(name))])),
    encodeSequence(encodeOid(OID.localKeyId), encodeSetOf([encodeOctetString(keyId)])),
  ]);
  const certificates = encodeSequence(
    encodeBag(OID.certificateBag, encodeCertificate(certificate), attributes),
    ...issuers.map((der) => encodeBag(OID.certificateBag, encodeCertificate(der))),
  );
  const secret = await encryptPbes2(encodePkcs8(key), password, ITERATIONS, random);
  const shrouded = encodeSequence(secret.algorithm, encodeOctetString(secret.encrypted));
  const hidden = await encryptPbes2(certificates, password, ITERATIONS, random);
  const safe = encodeSequence(
    encodeSequence(
      encodeOid(OID.encryptedData),
      encodeExplicit(encodeSequence(
        encodeSmallInteger(0),
        encodeSequence(
          encodeOid(OID.data),
          hidden.algorithm,
          encodeValue(contextTag(0, false), hidden.encrypted),
        ),
      )),
    ),
    encodeData(encodeSequence(encodeBag(OID.keyBag, shrouded, attributes))),
  );
  return encodeSequence(encodeSmallInteger(3), encodeData(safe), encodeMac(safe, password, random));
}

/** Encodes a ContentInfo of the type data. */
function encodeData(content: Bytes): Bytes {
  return encodeSequence(encodeOid(OID.data), encodeExplicit(encodeOctetString(content)));
}

function encodeBag(oid: string, value: Bytes, attributes?: Bytes): Bytes {
  return encodeSequence(encodeOid(oid), encodeExplicit(value), ...(attributes === undefined ? [] : [attributes]));
}

function encodeCertificate(der: Uint8Array): Bytes {
  return encodeSequence(encodeOid(OID.x509Certificate), encodeExplicit(encodeOctetString(der)));
}

function encodeExplicit(value: Bytes): Bytes {
  return encodeValue(contextTag(0, true), value);
}

function encodeMac(safe: Bytes, password: string, random: Random): Bytes {
  const salt = random.bytes(SALT_BYTES);
  const mac = createHmac("sha256", deriveMacKey(password, salt)).update(safe).digest();
  const algorithm = encodeSequence(encodeOid(OID.sha256), encodeNull());
  return encodeSequence(
    encodeSequence(algorithm, encodeOctetString(mac)),
    encodeOctetString(salt),
    encodeSmallInteger(ITERATIONS),
  );
}

/** Derives the key of the MAC (RFC 7292 appendix B.2). One block of SHA-256 is as long as the key. */
function deriveMacKey(password: string, salt: Uint8Array): Uint8Array {
  const diversifier = Buffer.alloc(BLOCK, MAC_PURPOSE);
  const text = Buffer.concat([toBmp(password), Buffer.alloc(2)]);
  let digest = createHash("sha256").update(diversifier).update(fill(salt)).update(fill(text)).digest();
  for (let round = 1; round < ITERATIONS; round++) digest = createHash("sha256").update(digest).digest();
  return digest;
}

/** Repeats bytes up to a multiple of the block size. */
function fill(bytes: Uint8Array): Uint8Array {
  return Buffer.alloc(Math.ceil(bytes.length / BLOCK) * BLOCK, bytes);
}

/** Encodes text as UTF-16 in network order, which is what a BMPString and a password have. */
function toBmp(text: string): Uint8Array {
  return Buffer.from(text, "utf16le").swap16();
}
