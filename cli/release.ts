/**
 * Reads the signed list of a release: `SHA256SUMS` and its minisign signature (jedisct1.github.io/minisign) in a folder,
 * such as a stick. One Ed25519 signature covers the BLAKE2b hash of the file, and another one covers that signature and
 * the trusted comment.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { err, ok, type Result } from "../core/lib/result.ts";
import { readRequiredFile } from "../instance/named_files.ts";
import type { Tools } from "./io.ts";
import { RELEASE_KEY } from "./release_key.ts";
import { UsageError } from "./exit_code.ts";
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";

/** The file with the hashes of a release, in the format of sha256sum. */
const SUMS = "SHA256SUMS";

/** A release with a valid signature. */
export interface Release {
  /** The trusted comment of the signature, which names the release. */
  readonly name: string;
  /** The id of the key that signed it. */
  readonly keyId: string;
  /** The SHA-256 of each file by its name, in hexadecimal. */
  readonly hashes: ReadonlyMap<string, string>;
}

/**
 * Reads the list in a folder and checks its signature, with the key in the file `releaseKey` or that of the releases.
 * The error says what is wrong. Throws UsageError without a key, and AppError `io` without a list.
 */
export async function readRelease(
  folder: string,
  releaseKey: string | undefined,
  tools: Pick<Tools, "files" | "cwd">,
): Promise<Result<Release, string>> {
  const read = (path: string): Promise<string> => readRequiredFile(path, tools);
  const text = releaseKey === undefined ? RELEASE_KEY : await read(releaseKey);
  if (text === undefined) {
    throw new UsageError("there is no release key in this build", "give the minisign public key with --release-key");
  }
  const key = parseMinisignKey(text);
  if (!key.ok) throw new UsageError(`cannot read the release key: ${key.error}`);
  const path = join(folder, SUMS);
  const sums = await read(path);
  const signature = await read(`${path}.minisig`);
  const signed = verifyMinisign(Buffer.from(sums), signature, key.value);
  if (!signed.ok) return err(`${path}: ${signed.error}`);
  const lines = sums.matchAll(/^([0-9a-f]{64}) {2}(.+)$/gm);
  const hashes = new Map([...lines].map(([, hash = "", name = ""]) => [name, hash]));
  return ok({ name: signed.value, keyId: key.value.id, hashes });
}

interface MinisignKey {
  /** The id of the key pair, in hexadecimal as minisign prints it. */
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

/** Checks the signature of a file, and returns its trusted comment. The error says what is wrong. */
export function verifyMinisign(file: Uint8Array, signature: string, { id, key }: MinisignKey): Result<string, string> {
  const [, signatureLine, commentLine = "", commentSignatureLine = ""] = signature.split("\n");
  const bytes = decodeLine(signatureLine, SIGNATURE);
  if (bytes === undefined || !commentLine.startsWith(TRUSTED_COMMENT)) {
    return err("the signature is not one of minisign 0.10 or newer");
  }
  if (toKeyId(bytes) !== id) return err(`the signature is by the key ${toKeyId(bytes)}, not by ${id}`);
  const value = bytes.subarray(10);
  const hash = createHash("blake2b512").update(file).digest();
  const comment = commentLine.slice(TRUSTED_COMMENT.length);
  const isGenuine = verify(null, hash, key, value) &&
    verify(null, Buffer.concat([value, Buffer.from(comment)]), key, Buffer.from(commentSignatureLine, "base64"));
  return isGenuine ? ok(comment) : err("the signature does not match the file");
}

function decodeLine(line: string | undefined, want: typeof PUBLIC_KEY): Buffer | undefined {
  const bytes = Buffer.from(line ?? "", "base64");
  return bytes.length === want.length && bytes.toString("latin1", 0, 2) === want.algorithm ? bytes : undefined;
}

/** Formats the key's id, which is little-endian in the file. */
function toKeyId(bytes: Buffer): string {
  return bytes.readBigUInt64LE(2).toString(16).toUpperCase().padStart(16, "0");
}
