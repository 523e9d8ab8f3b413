/** ML-DSA, the post-quantum signature scheme of FIPS 204, and its encoding in X.509 (RFC 9881). */
import { Buffer } from "node:buffer";
import { createPrivateKey, type KeyObject } from "node:crypto";
import { type Bytes, contextTag } from "../asn1/der.ts";
import { encodeOctetString, encodeOid, encodeSequence, encodeSmallInteger, encodeValue } from "../asn1/der_writer.ts";
import type { MlDsaName } from "./key_names.ts";

/** A parameter set: its identifier (RFC 9881 §2) and sizes in bytes (FIPS 204 table 2). */
export interface MlDsaParameters {
  readonly name: MlDsaName;
  readonly oid: string;
  readonly publicKeyBytes: number;
  readonly signatureBytes: number;
}

/** The parameter sets with their sizes, the weakest one first. */
export const ML_DSA: readonly MlDsaParameters[] = [
  { name: "ML-DSA-44", oid: "2.16.840.1.101.3.4.3.17", publicKeyBytes: 1_312, signatureBytes: 2_420 },
  { name: "ML-DSA-65", oid: "2.16.840.1.101.3.4.3.18", publicKeyBytes: 1_952, signatureBytes: 3_309 },
  { name: "ML-DSA-87", oid: "2.16.840.1.101.3.4.3.19", publicKeyBytes: 2_592, signatureBytes: 4_627 },
];

/** The reason for a failure on a runtime without ML-DSA, for use after a colon. */
export const NO_ML_DSA = "this runtime has no ML-DSA; Node.js has it from version 24.6 on, with OpenSSL 3.5";

/** Finds a parameter set by its identifier. */
export function findMlDsa(oid: string): MlDsaParameters | undefined {
  return ML_DSA.find((candidate) => candidate.oid === oid);
}

let isSupported: boolean | undefined;

/** Reports whether the runtime's `node:crypto` has ML-DSA. Deno 2.9 has it in WebCrypto only. */
export function hasMlDsa(): boolean {
  return isSupported ??= canImportKey();
}

function canImportKey(): boolean {
  const key = Buffer.from(encodeSeed(ML_DSA[0]!.oid, new Uint8Array(SEED_BYTES)));
  try {
    createPrivateKey({ key, format: "der", type: "pkcs8" });
    return true;
  } catch {
    return false;
  }
}

const SEED_BYTES = 32;

/**
 * Encodes a private key as PKCS#8 with only the seed (RFC 9881 §6), because Go reads no other form. Node.js writes the
 * seed and the expanded key. A key that was read without its seed is encoded as Node.js does it.
 */
export function encodeMlDsaKey(key: KeyObject, name: MlDsaName): Bytes {
  const seed = findSeed(key);
  const parameters = ML_DSA.find((candidate) => candidate.name === name);
  if (seed === undefined || parameters === undefined) {
    return new Uint8Array(key.export({ format: "der", type: "pkcs8" }));
  }
  return encodeSeed(parameters.oid, seed);
}

function findSeed(key: KeyObject): Bytes | undefined {
  try {
    return new Uint8Array(Buffer.from(key.export({ format: "jwk" })["priv"] as string, "base64url"));
  } catch {
    return undefined;
  }
}

function encodeSeed(oid: string, seed: Bytes): Bytes {
  const value = encodeValue(contextTag(0, false), seed);
  return encodeSequence(encodeSmallInteger(0), encodeSequence(encodeOid(oid)), encodeOctetString(value));
}
