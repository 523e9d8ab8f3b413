/**
 * Private keys that are encrypted with a passphrase: PKCS#8 EncryptedPrivateKeyInfo (RFC 5958 §3) with PBES2 (RFC 8018 §6.2), as
 * `openssl pkcs8 -topk8` and `openssl genpkey -aes256` write it. It is implemented here because the runtimes do not
 * support the same schemes.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createPrivateKey, pbkdf2, scrypt } from "node:crypto";
import type { Random } from "../../ports.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { type Bytes, decodeOid, decodeSmallInteger, DerError, DerReader, TAG } from "../asn1/der.ts";
import { encodeNull, encodeOctetString, encodeOid, encodeSequence, encodeSmallInteger } from "../asn1/der_writer.ts";
import type { PrivateKey } from "./keys.ts";
import { encodePem, findKeyBlock, parsePemBlocks } from "../asn1/pem.ts";

/** The reason why an encrypted key could not be decrypted. */
export type DecryptionFault =
  /** Either the passphrase is wrong or the file is damaged, which cannot be distinguished. */
  | { readonly kind: "wrong passphrase" }
  /** It is not an encrypted key, or the encryption scheme is not supported. */
  | { readonly kind: "unreadable"; readonly message: string };

const ENCRYPTED_LABEL = "ENCRYPTED PRIVATE KEY";
const PBES2_OID = "1.2.840.113549.1.5.13";
const PBKDF2_OID = "1.2.840.113549.1.5.12";
const SCRYPT_OID = "1.3.6.1.4.1.11591.4.11";
const HMAC_SHA1_OID = "1.2.840.113549.2.7";
const HMAC_SHA256_OID = "1.2.840.113549.2.9";
const AES_256_OID = "2.16.840.1.101.3.4.1.42";

const PRF_HASH: Readonly<Record<string, string>> = {
  [HMAC_SHA1_OID]: "sha1",
  [HMAC_SHA256_OID]: "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
};

interface Cipher {
  readonly name: string;
  readonly keyBytes: number;
  readonly ivBytes: number;
}

const CIPHERS: Readonly<Record<string, Cipher>> = {
  "2.16.840.1.101.3.4.1.2": { name: "aes-128-cbc", keyBytes: 16, ivBytes: 16 },
  [AES_256_OID]: { name: "aes-256-cbc", keyBytes: 32, ivBytes: 16 },
  "1.2.840.113549.3.7": { name: "des-ede3-cbc", keyBytes: 24, ivBytes: 8 },
};

/** OWASP's count for PBKDF2 with HMAC-SHA256 (2023). Deriving a key takes 0.1 s in Node and almost 1 s in Deno. */
const KEY_ITERATIONS = 600_000;
/** The largest accepted count, which takes a few seconds. */
const MAX_ITERATIONS = 20_000_000;
const MAX_SCRYPT_MEMORY = 256 * 1024 * 1024;
const SALT_BYTES = 16;

/** Detects the encryption of a key: none, the supported PKCS#8, or OpenSSL's old form, which is not supported. */
export function detectKeyEncryption(pem: string): "none" | "pkcs8" | "old" {
  const block = findKeyBlock(pem);
  if (block?.label === ENCRYPTED_LABEL) return "pkcs8";
  return block?.headers["Proc-Type"]?.includes("ENCRYPTED") === true ? "old" : "none";
}

/**
 * Encrypts a key into one `ENCRYPTED PRIVATE KEY` block: PBKDF2 with HMAC-SHA256, AES-256 in CBC mode. The block states
 * the number of iterations; only tests use fewer.
 */
export async function encryptPrivateKey(
  key: PrivateKey,
  passphrase: string,
  random: Random,
  iterations = KEY_ITERATIONS,
): Promise<string> {
  const { algorithm, encrypted } = await encryptPbes2(encodePkcs8(key), passphrase, iterations, random);
  return encodePem(ENCRYPTED_LABEL, encodeSequence(algorithm, encodeOctetString(encrypted)));
}

/** Encrypted bytes and the AlgorithmIdentifier of the encryption. */
interface Pbes2 {
  readonly algorithm: Bytes;
  readonly encrypted: Uint8Array;
}

/** Encrypts bytes with PBES2: PBKDF2 with HMAC-SHA256, AES-256 in CBC mode. */
export async function encryptPbes2(
  plain: Uint8Array,
  passphrase: string,
  iterations: number,
  random: Random,
): Promise<Pbes2> {
  const salt = random.bytes(SALT_BYTES);
  const iv = random.bytes(16);
  const derived = await derivePbkdf2(passphrase, salt, iterations, 32, "sha256");
  const cipher = createCipheriv("aes-256-cbc", derived, iv);
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  const kdf = encodeSequence(
    encodeOid(PBKDF2_OID),
    encodeSequence(
      encodeOctetString(salt),
      encodeSmallInteger(iterations),
      encodeSequence(encodeOid(HMAC_SHA256_OID), encodeNull()),
    ),
  );
  const scheme = encodeSequence(encodeOid(AES_256_OID), encodeOctetString(iv));
  return { algorithm: encodeSequence(encodeOid(PBES2_OID), encodeSequence(kdf, scheme)), encrypted };
}

/** Encodes a key as DER of PKCS#8 PrivateKeyInfo, without encryption. */
export function encodePkcs8(key: PrivateKey): Uint8Array {
  const pem = key.toPem();
  const [block] = parsePemBlocks(pem);
  // Node.js would not export an ML-DSA key as its seed.
  if (block?.label === "PRIVATE KEY") return block.bytes;
  return createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
}

/** Decrypts a key into a PEM block `PRIVATE KEY`, without parsing the key itself. */
export async function decryptPrivateKey(pem: string, passphrase: string): Promise<Result<string, DecryptionFault>> {
  const block = parsePemBlocks(pem).find(({ label }) => label === ENCRYPTED_LABEL);
  if (block === undefined) return unreadable("no encrypted private key found in PEM data");
  let parsed: Parsed;
  try {
    parsed = parse(block.bytes);
  } catch (error) {
    if (error instanceof DerError) return unreadable(`malformed encrypted private key: ${error.message}`);
    throw error;
  }
  if ("fault" in parsed) return unreadable(parsed.fault);
  const { cipher, iv, encrypted } = parsed;
  const derived = await parsed.derive(passphrase, cipher.keyBytes);
  try {
    const decipher = createDecipheriv(cipher.name, derived, iv);
    const plain = new Uint8Array(Buffer.concat([decipher.update(encrypted), decipher.final()]));
    // A wrong passphrase produces valid padding once in 256 times, but not a SEQUENCE of the right length.
    const reader = new DerReader(plain);
    reader.enter(TAG.sequence, "PrivateKeyInfo").read(TAG.integer, "version");
    reader.expectEnd();
    return ok(encodePem("PRIVATE KEY", plain));
  } catch {
    return err({ kind: "wrong passphrase" });
  }
}

type Derive = (passphrase: string, keyBytes: number) => Promise<Buffer>;

type Parsed =
  | { readonly fault: string }
  | { readonly derive: Derive; readonly cipher: Cipher; readonly iv: Bytes; readonly encrypted: Bytes };

function parse(der: Bytes): Parsed {
  const outer = new DerReader(der);
  const info = outer.enter(TAG.sequence, "EncryptedPrivateKeyInfo");
  outer.expectEnd();
  const algorithm = info.enter(TAG.sequence, "AlgorithmIdentifier");
  const encrypted = info.read(TAG.octetString, "encryptedData").content;
  const oid = decodeOid(algorithm.read(TAG.oid, "algorithm").content);
  if (oid !== PBES2_OID) return { fault: `the private key is encrypted by ${oid}, which is not supported` };
  const parameters = algorithm.enter(TAG.sequence, "PBES2-params");
  const derive = parseKdf(parameters.enter(TAG.sequence, "keyDerivationFunc"));
  const scheme = parameters.enter(TAG.sequence, "encryptionScheme");
  const cipherOid = decodeOid(scheme.read(TAG.oid, "algorithm").content);
  const cipher = CIPHERS[cipherOid];
  if (cipher === undefined) return { fault: `the private key is encrypted by ${cipherOid}, which is not supported` };
  const iv = scheme.read(TAG.octetString, "iv").content;
  if (iv.length !== cipher.ivBytes) return { fault: "malformed encrypted private key: wrong length of the IV" };
  return typeof derive === "string" ? { fault: derive } : { derive, cipher, iv, encrypted };
}

/** Parses the key derivation function; returns the fault as text when it is not supported. */
function parseKdf(reader: DerReader): Derive | string {
  const oid = decodeOid(reader.read(TAG.oid, "algorithm").content);
  const parameters = reader.enter(TAG.sequence, "parameters");
  if (oid === SCRYPT_OID) return parseScrypt(parameters);
  if (oid !== PBKDF2_OID) return `the private key is encrypted by ${oid}, which is not supported`;
  const salt = parameters.read(TAG.octetString, "salt").content;
  const iterations = readCount(parameters);
  parameters.readOptional(TAG.integer);
  const prf = parameters.readOptional(TAG.sequence);
  const prfOid = prf === undefined ? HMAC_SHA1_OID : decodeOid(prf.enter().read(TAG.oid, "prf").content);
  const hash = PRF_HASH[prfOid];
  if (hash === undefined) return `the private key is encrypted by ${prfOid}, which is not supported`;
  if (iterations > MAX_ITERATIONS) return `the private key requires ${iterations} iterations, which are too many`;
  return (passphrase, keyBytes) => derivePbkdf2(passphrase, salt, iterations, keyBytes, hash);
}

function parseScrypt(parameters: DerReader): Derive | string {
  const salt = parameters.read(TAG.octetString, "salt").content;
  const [cost, blockSize, parallelization] = [readCount(parameters), readCount(parameters), readCount(parameters)];
  const isPowerOfTwo = cost > 1 && Number.isInteger(Math.log2(cost));
  if (!isPowerOfTwo || 128 * cost * blockSize * parallelization > MAX_SCRYPT_MEMORY) {
    return "the private key requires scrypt parameters that are not supported";
  }
  const options = { cost, blockSize, parallelization, maxmem: 2 * MAX_SCRYPT_MEMORY };
  return (passphrase, keyBytes) =>
    new Promise((resolve, reject) => {
      scrypt(passphrase, salt, keyBytes, options, (error, key) => error === null ? resolve(key) : reject(error));
    });
}

function readCount(reader: DerReader): number {
  const count = decodeSmallInteger(reader.read(TAG.integer, "count").content);
  if (count < 1) throw new DerError("a count is not positive");
  return count;
}

function derivePbkdf2(
  passphrase: string,
  salt: Bytes,
  iterations: number,
  keyBytes: number,
  hash: string,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(passphrase, salt, iterations, keyBytes, hash, (error, key) => error === null ? resolve(key) : reject(error));
  });
}

function unreadable(message: string): Result<never, DecryptionFault> {
  return err({ kind: "unreadable", message });
}
