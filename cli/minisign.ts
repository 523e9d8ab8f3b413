/**
 * Signatures of minisign, which is what releases are signed with (jedisct1.github.io/minisign): Ed25519 over the BLAKE2b
 * of a file, and once more over the signature and its trusted comment.
 */
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { err, ok, type Result } from "../core/lib/result.ts";

export interface MinisignKey {
  /** The number of the key pair, in hexadecimal as minisign prints it. */
  readonly id: string;
  readonly key: KeyObject;
}

/** The DER of an Ed25519 SubjectPublicKeyInfo before the key itself (RFC 8410). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const TRUSTED_COMMENT = "trusted comment: ";
const SIGNATURE = { algorithm: "ED", length: 74 };
const PUBLIC_KEY = { algorithm: "Ed", length: 42 };

/** Parses a public key: the file that minisign writes, or its second line alone. */
export function parseMinisignKey(text: string): Result<MinisignKey, string> {
  const bytes = decodeLine(text.trim().split("\n").at(-1), PUBLIC_KEY);
  if (bytes === undefined) return err("want a public key of minisign, which begins with RW");
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, bytes.subarray(10)]),
    format: "der",
    type: "spki",
  });
  return ok({ id: toKeyId(bytes), key });
}

/** Checks the signature of a file; answers its trusted comment. The error says what is wrong. */
export function verifyMinisign(file: Uint8Array, signature: string, { id, key }: MinisignKey): Result<string, string> {
  const [, signatureLine, commentLine = "", commentSignatureLine = ""] = signature.split("\n");
  const bytes = decodeLine(signatureLine, SIGNATURE);
  if (bytes === undefined || !commentLine.startsWith(TRUSTED_COMMENT)) {
    return err("the signature is none of minisign 0.10 or newer");
  }
  if (toKeyId(bytes) !== id) return err(`the signature is by the key ${toKeyId(bytes)}, not by ${id}`);
  const value = bytes.subarray(10);
  const hash = createHash("blake2b512").update(file).digest();
  const comment = commentLine.slice(TRUSTED_COMMENT.length);
  const isGenuine = verify(null, hash, key, value) &&
    verify(null, Buffer.concat([value, Buffer.from(comment)]), key, Buffer.from(commentSignatureLine, "base64"));
  return isGenuine ? ok(comment) : err("the signature does not fit the file");
}

function decodeLine(line: string | undefined, want: typeof PUBLIC_KEY): Buffer | undefined {
  const bytes = Buffer.from(line ?? "", "base64");
  return bytes.length === want.length && bytes.toString("latin1", 0, 2) === want.algorithm ? bytes : undefined;
}

/** The number is little-endian in the file. */
function toKeyId(bytes: Buffer): string {
  return bytes.readBigUInt64LE(2).toString(16).toUpperCase().padStart(16, "0");
}
