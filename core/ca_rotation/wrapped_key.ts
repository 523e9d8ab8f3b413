/**
 * The new CA's key on its way to the other servers of an installation: encrypted under a key that is derived from the
 * key of service account tokens, which all servers have. A user who may read Secrets cannot read the CA's key.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { decodeBase64 } from "../lib/base64.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parsePrivateKey } from "../pki/keys/keys.ts";
import type { Random } from "../ports.ts";

export const WRAPPED_KEY_NAMESPACE = "kube-system";
export const WRAPPED_KEY_TYPE = "tlsboot/ca-rotation";
const ENTRY = "wrapped-key";

const SALT_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const PURPOSE = "tlsboot ca rotation v1";

/** Returns the name of the Secret with the new key of a CA, such as `ca`. */
export function toWrappedKeyName(caName: string): string {
  return `tlsboot-ca-rotation-${caName}`;
}

/**
 * Encrypts a key (PEM, which may itself be encrypted) under the key of service account tokens (PEM). The result is base64
 * text. The error describes what is wrong with the latter.
 */
export function wrapKey(keyPem: string, tokenKeyPem: string, random: Random): Result<string, string> {
  const salt = random.bytes(SALT_BYTES);
  const key = deriveKey(tokenKeyPem, salt);
  if (!key.ok) return key;
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.value, nonce);
  const text = Buffer.concat([cipher.update(keyPem, "utf8"), cipher.final()]);
  return ok(Buffer.concat([salt, nonce, cipher.getAuthTag(), text]).toString("base64"));
}

/** Decrypts the result of `wrapKey`. The error describes what is wrong, without any part of a key. */
export function unwrapKey(wrapped: string, tokenKeyPem: string): Result<string, string> {
  const decoded = decodeBase64(wrapped);
  if (decoded === undefined || decoded.length <= SALT_BYTES + NONCE_BYTES + TAG_BYTES) {
    return err("it is not a wrapped key");
  }
  const bytes = Buffer.from(decoded);
  const key = deriveKey(tokenKeyPem, bytes.subarray(0, SALT_BYTES));
  if (!key.ok) return key;
  const nonce = bytes.subarray(SALT_BYTES, SALT_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key.value, nonce);
  decipher.setAuthTag(bytes.subarray(SALT_BYTES + NONCE_BYTES, SALT_BYTES + NONCE_BYTES + TAG_BYTES));
  try {
    const text = decipher.update(bytes.subarray(SALT_BYTES + NONCE_BYTES + TAG_BYTES));
    return ok(Buffer.concat([text, decipher.final()]).toString("utf8"));
  } catch {
    return err("it was encrypted with another key of service account tokens, or it was changed");
  }
}

export function createWrappedKeySecret(caName: string, wrapped: string): SecretObject {
  return {
    metadata: { name: toWrappedKeyName(caName), namespace: WRAPPED_KEY_NAMESPACE },
    type: WRAPPED_KEY_TYPE,
    data: { [ENTRY]: Buffer.from(wrapped, "utf8").toString("base64") },
  };
}

/** Finds the wrapped key in a Secret; undefined when there is none. */
export function findWrappedKey({ type, data }: SecretObject): string | undefined {
  const encoded = data?.[ENTRY];
  if (type !== WRAPPED_KEY_TYPE || encoded === undefined) return undefined;
  return Buffer.from(encoded, "base64").toString("utf8");
}

/** The canonical text of the key is the input, so that copies of the file may differ in line ends. */
function deriveKey(tokenKeyPem: string, salt: Uint8Array): Result<Buffer, string> {
  const parsed = parsePrivateKey(tokenKeyPem);
  if (!parsed.ok) return err(`the key of service account tokens is not usable: ${parsed.error}`);
  return ok(Buffer.from(hkdfSync("sha256", parsed.value.toPem(), salt, PURPOSE, KEY_BYTES)));
}
