/** Private keys: generation, parsing, encoding and signing. Printing a key never reveals it. */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign, verify } from "node:crypto";
import { AppError, getErrorMessage } from "../../errors.ts";
import { lookup } from "../../lib/record.ts";
import type { CaKey, SignatureAlgorithm } from "../../ports.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { type Bytes, decodeOid, DerError, DerReader, TAG, toResult } from "../asn1/der.ts";
import {
  getPrivateKeyAlgorithm,
  isMlDsa,
  isPrivateKeyAlgorithm,
  type KeyAlgorithm,
  type MlDsaName,
  type PrivateKeyAlgorithm,
} from "./key_names.ts";
import { encodeMlDsaKey, findMlDsa, hasMlDsa, NO_ML_DSA } from "./ml_dsa.ts";
import { encodePem, findKeyBlock, type PemBlock } from "../asn1/pem.ts";
import { type CurveName, parsePublicKey, type PublicKeyFacts } from "./public_key.ts";
import type { HashName } from "./signature.ts";

export {
  findKeyAlgorithm,
  getPrivateKeyAlgorithm,
  isPrivateKeyAlgorithm,
  KEY_ALGORITHMS,
  type KeyAlgorithm,
  ML_DSA_KEY_ALGORITHMS,
  type PrivateKeyAlgorithm,
} from "./key_names.ts";
export { type PublicKeyDescription, publicKeysEqual } from "./public_key.ts";
export type { HashName } from "./signature.ts";

/** A private key; printing it in any way shows `[redacted]`. */
export interface PrivateKey {
  readonly algorithm: PrivateKeyAlgorithm;
  readonly bits: number;
  /** The curve of an ECDSA key. */
  readonly curve?: CurveName;
  /** Returns the public key as DER of SubjectPublicKeyInfo. */
  publicKeyDer(): Uint8Array<ArrayBuffer>;
  /**
   * `EC PRIVATE KEY` (SEC 1), `RSA PRIVATE KEY` (PKCS#1), or `PRIVATE KEY` (PKCS#8) for Ed25519 and ML-DSA, the latter
   * as its seed.
   */
  toPem(): string;
  /**
   * Signs data: ECDSA in DER, RSA in PKCS#1 v1.5, Ed25519 and ML-DSA raw and without a hash. By default, ECDSA uses the
   * hash of its curve and RSA uses SHA-256.
   */
  sign(data: Uint8Array, hash?: HashName): Uint8Array<ArrayBuffer>;
}

const INSPECT_NODE = Symbol.for("nodejs.util.inspect.custom");
const INSPECT_DENO = Symbol.for("Deno.customInspect");

const CURVE_HASH: Readonly<Record<CurveName, HashName>> = {
  "P-224": "sha256",
  "P-256": "sha256",
  "P-384": "sha384",
  "P-521": "sha512",
};

const ALGORITHM_HASH: Readonly<Record<Exclude<SignatureAlgorithm, "Ed25519" | MlDsaName>, HashName>> = {
  "SHA256-RSA": "sha256",
  "ECDSA-SHA256": "sha256",
  "ECDSA-SHA384": "sha384",
  "ECDSA-SHA512": "sha512",
};

/** Throws AppError `key_invalid` for ML-DSA on a runtime without it. */
export function assertSupported(algorithm: KeyAlgorithm): void {
  const name = getPrivateKeyAlgorithm(algorithm);
  if (isMlDsa(name) && !hasMlDsa()) throw new AppError("key_invalid", `cannot make a key of ${name}: ${NO_ML_DSA}`);
}

/** Generates a key; an RSA key takes a second or more in the background. Rejects with the error of `assertSupported`. */
export async function generatePrivateKey(algorithm: KeyAlgorithm): Promise<PrivateKey> {
  assertSupported(algorithm);
  return createKey(await generateKeyObject(algorithm));
}

/**
 * Parses the first private key of a PEM text: `EC PRIVATE KEY`, `RSA PRIVATE KEY` or `PRIVATE KEY`. Other blocks, such as
 * `EC PARAMETERS` or the certificates of kubelet's combined file, are skipped.
 */
export function parsePrivateKey(pem: string): Result<PrivateKey, string> {
  const block = findKeyBlock(pem);
  if (block === undefined) return err("no private key found in PEM data");
  if (block.label === "ENCRYPTED PRIVATE KEY") return err("the private key is encrypted");
  if (block.headers["Proc-Type"]?.includes("ENCRYPTED") === true) {
    return err("the private key is encrypted in OpenSSL's old form; convert it with openssl pkcs8 -topk8");
  }
  const type = lookup(KEY_FORMAT, block.label);
  if (type === undefined) return err(`unsupported private key type "${block.label}"`);
  try {
    const object = importPrivateKey(block, type);
    const key = createKey(object);
    return hasMismatchedParts(key, object)
      ? err("its private part does not match its public part: the key was changed")
      : ok(key);
  } catch (error) {
    if (error instanceof DerError || error instanceof AppError) return err(error.message);
    // The messages of OpenSSL and Deno describe the structure, never the content.
    return err(`malformed private key: ${getErrorMessage(error)}`);
  }
}

/**
 * Creates the CA port for a key in memory; `sign` rejects with AppError `key_invalid` when the algorithm does not fit
 * the key.
 */
export function createCaKey(key: PrivateKey): CaKey {
  return {
    publicKey: () => Promise.resolve(key.publicKeyDer()),
    async sign(data, algorithm): Promise<Uint8Array<ArrayBuffer>> {
      const hash = algorithm === "Ed25519" || isMlDsa(algorithm) ? undefined : ALGORITHM_HASH[algorithm];
      const wanted = hash === undefined ? algorithm : algorithm === "SHA256-RSA" ? "RSA" : "ECDSA";
      if (wanted !== key.algorithm) {
        throw new AppError("key_invalid", `cannot sign with "${algorithm}": the key is ${key.algorithm}`);
      }
      return await Promise.resolve(key.sign(data, hash));
    },
  };
}

const KEY_FORMAT: Readonly<Record<string, "sec1" | "pkcs1" | "pkcs8">> = {
  "EC PRIVATE KEY": "sec1",
  "RSA PRIVATE KEY": "pkcs1",
  "PRIVATE KEY": "pkcs8",
};

function importPrivateKey(block: PemBlock, type: "sec1" | "pkcs1" | "pkcs8"): KeyObject {
  const outer = new DerReader(block.bytes);
  outer.readAny();
  outer.expectEnd();
  if (type === "pkcs8" && !hasMlDsa()) refuseMlDsa(block.bytes);
  return createPrivateKey({ key: Buffer.from(block.bytes), format: "der", type });
}

/**
 * Reports whether the public part of an EC private key does not verify the signatures of its private part. OpenSSL does
 * not compare the two parts.
 */
function hasMismatchedParts(key: PrivateKey, object: KeyObject): boolean {
  const { curve } = key;
  if (curve === undefined) return false;
  const trial = Buffer.from("trial signature");
  return !verify(CURVE_HASH[curve], trial, createPublicKey(object), key.sign(trial));
}

/** Throws AppError `key_invalid` for an ML-DSA key, which the runtime would refuse without a reason. */
function refuseMlDsa(pkcs8: Bytes): void {
  const oid = toResult(() => {
    const info = new DerReader(pkcs8).enter(TAG.sequence, "PrivateKeyInfo");
    info.read(TAG.integer, "version");
    return decodeOid(info.enter(TAG.sequence, "AlgorithmIdentifier").read(TAG.oid, "algorithm").content);
  });
  const parameters = oid.ok ? findMlDsa(oid.value) : undefined;
  if (parameters !== undefined) {
    throw new AppError("key_invalid", `cannot use a key of ${parameters.name}: ${NO_ML_DSA}`);
  }
}

function generateKeyObject(algorithm: KeyAlgorithm): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _publicKey: KeyObject, privateKey: KeyObject): void => {
      if (error === null || error === undefined) resolve(privateKey);
      else reject(error);
    };
    switch (algorithm) {
      case "ecdsa-p256":
      case "ecdsa-p384":
      case "ecdsa-p521":
        return generateKeyPair("ec", { namedCurve: algorithm.slice(6).replace("p", "P-") }, done);
      case "rsa-2048":
      case "rsa-3072":
      case "rsa-4096":
        return generateKeyPair("rsa", { modulusLength: Number(algorithm.slice(4)) }, done);
      case "ed25519":
        return generateKeyPair("ed25519", undefined, done);
      case "ml-dsa-44":
      case "ml-dsa-65":
      case "ml-dsa-87":
        return generateKeyPair(algorithm, undefined, done);
    }
  });
}

function createKey(key: KeyObject): PrivateKey {
  const type = key.asymmetricKeyType ?? "";
  if (!["ec", "rsa", "ed25519"].includes(type) && !isMlDsa(type.toUpperCase())) {
    throw new AppError("key_invalid", `unsupported private key type "${type}"`);
  }
  const der = new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }));
  const facts = parsePublicKey(der);
  if (facts.weakness !== undefined) throw new AppError("key_invalid", facts.weakness);
  return new LocalPrivateKey(key, der, facts);
}

class LocalPrivateKey implements PrivateKey {
  readonly algorithm: PrivateKeyAlgorithm;
  readonly bits: number;
  readonly curve?: CurveName;
  readonly #key: KeyObject;
  readonly #publicKeyDer: Bytes;

  constructor(key: KeyObject, publicKeyDer: Bytes, { algorithm, bits, curve }: PublicKeyFacts) {
    if (!isPrivateKeyAlgorithm(algorithm)) {
      throw new AppError("key_invalid", `unsupported algorithm "${algorithm}" of a private key`);
    }
    this.algorithm = algorithm;
    this.bits = bits;
    if (curve !== undefined) this.curve = curve;
    this.#key = key;
    this.#publicKeyDer = publicKeyDer;
  }

  publicKeyDer(): Bytes {
    return this.#publicKeyDer.slice();
  }

  toPem(): string {
    switch (this.algorithm) {
      case "ECDSA":
        return encodePem("EC PRIVATE KEY", this.#key.export({ format: "der", type: "sec1" }));
      case "RSA":
        return encodePem("RSA PRIVATE KEY", this.#key.export({ format: "der", type: "pkcs1" }));
      case "Ed25519":
        return encodePem("PRIVATE KEY", this.#key.export({ format: "der", type: "pkcs8" }));
      default:
        return encodePem("PRIVATE KEY", encodeMlDsaKey(this.#key, this.algorithm));
    }
  }

  sign(data: Uint8Array, hash?: HashName): Bytes {
    const byKey = this.curve === undefined ? "sha256" : CURVE_HASH[this.curve];
    const isHashed = this.algorithm === "ECDSA" || this.algorithm === "RSA";
    return new Uint8Array(sign(isHashed ? hash ?? byKey : null, data, this.#key));
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  [INSPECT_NODE](): string {
    return `PrivateKey(${this.algorithm}-${this.bits}, [redacted])`;
  }

  [INSPECT_DENO](): string {
    return `PrivateKey(${this.algorithm}-${this.bits}, [redacted])`;
  }
}
