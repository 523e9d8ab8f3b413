/**
 * SSH public keys (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4), their fingerprints, and signatures over a message
 * (OpenSSH's `PROTOCOL.sshsig`), with which a machine proves that it can use its host key. SSH's data types (RFC 4251
 * §5) are read with bounds checks.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { concatBytes, decodeBase64, decodeHex, encodeUint } from "../lib/encodings.ts";
import { lookup } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Bytes, checkInteger, DerError, DerReader, equalBytes, TAG, toResult } from "../pki/asn1/der.ts";
import { encodeSequence, encodeUnsigned } from "../pki/asn1/der_writer.ts";
import type { HashName, PrivateKey } from "../pki/keys/keys.ts";
import {
  type Curve,
  CURVES,
  encodePublicKey,
  parsePublicKey,
  type PublicKeyFacts,
  type PublicKeyParts,
} from "../pki/keys/public_key.ts";
import { findSignatureFault, type SignedBytes } from "../pki/keys/signature.ts";

/** The namespace of a proof, so that no signature for another purpose is accepted as one. */
export const PROOF_NAMESPACE = "tlsboot-join";

/** The types of keys that can prove an identity. */
const KEY_TYPES = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
] as const;

type SshKeyType = typeof KEY_TYPES[number];

/** A public key of a supported type and size. */
export interface SshPublicKey {
  readonly type: SshKeyType;
  /** The key in SSH's wire format. A key has no second encoding. */
  readonly wire: Bytes;
  readonly facts: PublicKeyFacts;
}

/**
 * The sizes of RSA keys. Anyone can make a server verify a signature, which would take milliseconds with a key of
 * 16,384 bits.
 */
const RSA_BITS = { least: 2048, most: 8192 };

const CURVE_OF_TYPE: Readonly<Record<Extract<SshKeyType, `ecdsa-${string}`>, Curve>> = {
  "ecdsa-sha2-nistp256": CURVES["P-256"],
  "ecdsa-sha2-nistp384": CURVES["P-384"],
  "ecdsa-sha2-nistp521": CURVES["P-521"],
};

/** Parses a public key in SSH's wire format. */
export function parseSshPublicKey(wire: Bytes): Result<SshPublicKey, string> {
  return toResult(() => {
    const reader = new SshReader(wire);
    const type = readKeyType(reader);
    const parts = readKeyParts(reader, type);
    reader.expectEnd();
    const facts = parsePublicKey(encodePublicKey(parts));
    if (facts.weakness !== undefined) throw new DerError(facts.weakness);
    if (facts.algorithm === "RSA" && (facts.bits < RSA_BITS.least || facts.bits > RSA_BITS.most)) {
      throw new DerError(`an RSA key has ${facts.bits} bits: want ${RSA_BITS.least} to ${RSA_BITS.most}`);
    }
    return { type, wire, facts };
  });
}

/** Reads the type of a key. Throws `DerError` for one that is not supported. */
export function readKeyType(reader: SshReader): SshKeyType {
  const name = reader.readName();
  const type = KEY_TYPES.find((known) => known === name);
  if (type !== undefined) return type;
  throw new DerError(`keys of type "${name}" are not supported; want one of ${KEY_TYPES.join(", ")}`);
}

function readKeyParts(reader: SshReader, type: SshKeyType): PublicKeyParts {
  switch (type) {
    case "ssh-ed25519":
      return { algorithm: "Ed25519", keyBytes: reader.readString() };
    case "ssh-rsa": {
      const exponent = reader.readNumber();
      return { algorithm: "RSA", exponent, modulus: reader.readNumber() };
    }
    default: {
      const curve = readCurve(reader, type);
      return { algorithm: "ECDSA", curve: curve.name, point: reader.readString() };
    }
  }
}

/** Reads the name of the curve, which must match the type of key. */
export function readCurve(reader: SshReader, type: keyof typeof CURVE_OF_TYPE): Curve {
  if (reader.readName() !== toCurveName(type)) throw new DerError("the curve of the key does not match its type");
  return CURVE_OF_TYPE[type];
}

function toCurveName(type: string): string {
  return type.slice("ecdsa-sha2-".length);
}

/** Converts the public key of a private key. Fails for keys that SSH does not have, and for a wrong size. */
export function toSshPublicKey(key: Pick<PrivateKey, "publicKeyDer">): Result<SshPublicKey, string> {
  const { algorithm, curve, keyBytes } = parsePublicKey(key.publicKeyDer());
  if (algorithm === "Ed25519") return parseSshPublicKey(encodeStrings("ssh-ed25519", keyBytes));
  if (algorithm === "RSA") {
    const [modulus = "", exponent = ""] = readNumbers(keyBytes);
    return parseSshPublicKey(encodeStrings("ssh-rsa", exponent, modulus));
  }
  const [type] = Object.entries(CURVE_OF_TYPE).find(([, { name }]) => name === curve) ?? [];
  if (type === undefined) return err(`SSH has no keys of ${curve ?? algorithm}`);
  return parseSshPublicKey(encodeStrings(type, toCurveName(type), keyBytes));
}

/** Parses the type and the base64 of a public key, as `known_hosts` and `.pub` files have them. */
export function parseSshKeyText(type: string, base64: string): Result<SshPublicKey, string> {
  const wire = decodeBase64(base64);
  if (wire === undefined) return err("the key is not valid base64");
  const key = parseSshPublicKey(wire);
  if (!key.ok || key.value.type === type) return key;
  return err(`the key is of type ${key.value.type}, not "${type}"`);
}

/** Formats the fingerprint of a key as `ssh-keygen -l` prints it. */
export function formatSshFingerprint({ wire }: Pick<SshPublicKey, "wire">): string {
  return `SHA256:${Buffer.from(hash("sha256", wire), "hex").toString("base64").replace("=", "")}`;
}

/** Explains why a text is not a fingerprint; undefined when it is one. */
export function findSshFingerprintFault(text: string): string | undefined {
  const [, base64] = /^SHA256:([A-Za-z0-9+/]{43})$/.exec(text) ?? [];
  // The last two bits of the last character are unused and must be zero.
  if (base64 !== undefined && Buffer.from(base64, "base64").toString("base64") === `${base64}=`) return undefined;
  return "want SHA256: and 43 characters, as ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub prints them";
}

/** A message and the namespace for which it is signed. */
interface SshMessage {
  readonly namespace: string;
  readonly message: Uint8Array;
}

const MAGIC = "SSHSIG";
const VERSION = 1;

/** Verifies a signature, the binary structure without armor. The error is for a log. */
export function verifySshSignature(
  { publicKey, signature, namespace, message }: SshMessage & {
    readonly publicKey: SshPublicKey;
    readonly signature: Bytes;
  },
): Result<undefined, string> {
  const checked = toResult(() => {
    const reader = new SshReader(signature);
    reader.expectText(MAGIC, "it is not an SSH signature");
    const version = reader.readUint32();
    if (version !== VERSION) throw new DerError(`version ${version} of SSH signatures is not supported`);
    if (!equalBytes(reader.readString(), publicKey.wire)) throw new DerError("the signature is by another key");
    const purpose = reader.readName();
    if (purpose !== namespace) throw new DerError(`the signature has the namespace "${purpose}", not "${namespace}"`);
    if (reader.readString().length > 0) throw new DerError("the reserved field of the signature is not empty");
    const digest = reader.readName();
    if (digest !== "sha512" && digest !== "sha256") {
      throw new DerError(`the hash "${digest}" is not supported; want sha512 or sha256`);
    }
    const inner = new SshReader(reader.readString());
    reader.expectEnd();
    return findSignatureFault({
      ...readSignature(inner, publicKey),
      key: publicKey.facts,
      data: encodeSigned({ namespace, message }, digest),
      allowSha1: false,
      allowMlDsa: false,
    });
  });
  if (!checked.ok) return checked;
  if (checked.value === undefined) return ok(undefined);
  const { kind, message: why } = checked.value;
  return err(kind === "invalid" ? "the key did not sign the message" : why);
}

/** Signs a message as `ssh-keygen -Y sign` does, RSA with SHA-512. The result is the binary structure without armor. */
export function signSsh(
  { publicKey, privateKey, namespace, message }: SshMessage & {
    readonly publicKey: SshPublicKey;
    readonly privateKey: Pick<PrivateKey, "sign">;
  },
): Bytes {
  const digest = "sha512";
  const isRsa = publicKey.type === "ssh-rsa";
  // ECDSA uses the hash for its curve (RFC 5656 §6.2.1), which is the default of the key.
  const raw = privateKey.sign(encodeSigned({ namespace, message }, digest), isRsa ? "sha512" : undefined);
  const blob = publicKey.facts.algorithm === "ECDSA" ? encodeStrings(...readNumbers(raw)) : raw;
  const signature = encodeStrings(isRsa ? "rsa-sha2-512" : publicKey.type, blob);
  return concatBytes(MAGIC, encodeUint(4, VERSION), encodeStrings(publicKey.wire, namespace, "", digest, signature));
}

/** Encodes the signed bytes: the namespace and the hash of the message. */
function encodeSigned({ namespace, message }: SshMessage, digest: "sha256" | "sha512"): Bytes {
  return concatBytes(MAGIC, encodeStrings(namespace, "", digest, decodeHex(hash(digest, message))));
}

/** The signature algorithms and their hashes. RSA with SHA-1 is not one of them. */
const SIGNATURE_HASHES: Readonly<Record<SshKeyType, Readonly<Record<string, HashName | "none">>>> = {
  "ssh-ed25519": { "ssh-ed25519": "none" },
  "ecdsa-sha2-nistp256": { "ecdsa-sha2-nistp256": "sha256" },
  "ecdsa-sha2-nistp384": { "ecdsa-sha2-nistp384": "sha384" },
  "ecdsa-sha2-nistp521": { "ecdsa-sha2-nistp521": "sha512" },
  "ssh-rsa": { "rsa-sha2-256": "sha256", "rsa-sha2-512": "sha512" },
};

/** Reads a signature and converts it to the form of X.509. */
function readSignature(
  reader: SshReader,
  { type, facts }: SshPublicKey,
): Pick<SignedBytes, "algorithm" | "signature"> {
  const name = reader.readName();
  const hashName = lookup(SIGNATURE_HASHES[type], name);
  if (hashName === undefined) throw new DerError(`a key of type ${type} does not sign with "${name}"`);
  const blob = reader.readString();
  reader.expectEnd();
  const algorithm = { name, keyAlgorithm: facts.algorithm, hash: hashName, isPss: false };
  if (facts.algorithm !== "ECDSA") return { algorithm, signature: blob };
  const numbers = new SshReader(blob);
  const [r, s] = [numbers.readNumber(), numbers.readNumber()];
  numbers.expectEnd();
  return { algorithm, signature: encodeSequence(encodeUnsigned(r), encodeUnsigned(s)) };
}

/** Reads the INTEGERs of a DER SEQUENCE; SSH encodes their content in the same way. */
function readNumbers(der: Bytes): readonly Bytes[] {
  const reader = new DerReader(der).enter(TAG.sequence, "numbers");
  const numbers: Bytes[] = [];
  while (!reader.isAtEnd()) numbers.push(reader.read(TAG.integer, "integer").content);
  return numbers;
}

/** The longest names in use are types of keys, such as `ecdsa-sha2-nistp256`. */
const MAX_NAME_BYTES = 64;

/** Reads values one after another. It throws `DerError`, which `toResult` turns into a `Result`. */
export class SshReader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** Reads bytes that must be this ASCII text; the error has the text of the fault. */
  expectText(text: string, fault: string): void {
    if (!equalBytes(this.#take(text.length), Buffer.from(text))) throw new DerError(fault);
  }

  expectEnd(): void {
    if (this.#at < this.#bytes.length) throw new DerError("there are bytes after the end");
  }

  readUint32(): number {
    const bytes = this.#take(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  }

  readString(): Bytes {
    return this.#take(this.readUint32());
  }

  /** Reads a name. Bytes other than printable ASCII become `?`, so that a message can quote it. */
  readName(): string {
    const bytes = this.readString();
    if (bytes.length > MAX_NAME_BYTES) throw new DerError(`a name has more than ${MAX_NAME_BYTES} bytes`);
    return Buffer.from(bytes).toString("latin1").replace(/[^ -~]/g, "?");
  }

  /** Reads an `mpint`, which must be positive and minimal; its bytes are also the content of a DER INTEGER. */
  readNumber(): Bytes {
    const content = this.readString();
    checkInteger(content);
    if ((content[0] ?? 0) >= 0x80 || (content.length === 1 && content[0] === 0)) {
      throw new DerError("a number is not positive");
    }
    return content;
  }

  /** Reads all of the remaining bytes. */
  readRest(): Bytes {
    return this.#take(this.#bytes.length - this.#at);
  }

  #take(length: number): Bytes {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new DerError("the bytes end too early");
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}

/** Encodes strings, each after its length. */
export function encodeStrings(...strings: readonly (Uint8Array | string)[]): Bytes {
  return concatBytes(...strings.flatMap((string) => {
    const bytes = concatBytes(string);
    return [encodeUint(4, bytes.length), bytes];
  }));
}
