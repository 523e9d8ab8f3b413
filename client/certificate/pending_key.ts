/** The key of a pending request: it is stored before the request is made, so a restart makes the same request. */
import { dirname } from "node:path";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import { findKeyAlgorithm, type KeyAlgorithm, parsePrivateKey, type PrivateKey } from "../../core/pki/keys.ts";
import type { FilePort } from "../files.ts";
import { findSecretFault } from "../private_file.ts";

const KEY_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Reads the key of an earlier run; undefined when there is none. AppError `key_invalid` for a file that does not hold a
 * key, and for one that another user may have written or can read: a certificate for that key would be theirs.
 */
export async function readPendingKey(path: string, files: FilePort): Promise<PrivateKey | undefined> {
  const found = await files.readOpened(path).catch((error: unknown) => {
    throw keyError(path, getErrorMessage(error), error);
  });
  if (found === undefined) return undefined;
  const fault = findSecretFault(found.facts);
  if (fault !== undefined) throw keyError(path, fault);
  const key = parsePrivateKey(found.text);
  if (key.ok) return key.value;
  throw keyError(path, key.error);
}

/** Reads the key of an earlier run. AppError `key_invalid` when its algorithm is not the requested one. */
export async function findPendingKey(
  path: string,
  algorithm: KeyAlgorithm,
  files: FilePort,
): Promise<PrivateKey | undefined> {
  const key = await readPendingKey(path, files);
  if (key === undefined) return undefined;
  const found = findKeyAlgorithm(key);
  if (found === algorithm) return key;
  throw keyError(path, `it is ${found ?? `a key of ${key.bits} bits`}, but ${algorithm} was requested`);
}

/** Stores a new key. When another run stored one first, that key is returned. */
export async function keepPendingKey(path: string, key: PrivateKey, files: FilePort): Promise<PrivateKey> {
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  try {
    await files.createExclusive(path, key.toPem(), KEY_MODE);
    return key;
  } catch (error) {
    if (!isAppError(error, "file_exists")) throw error;
    return await readPendingKey(path, files) ?? await keepPendingKey(path, key, files);
  }
}

function keyError(path: string, why: string, cause?: unknown): AppError {
  return new AppError("key_invalid", `cannot use the key in "${path}": ${why}`, {
    cause,
    hint: "it was kept for a certificate that was requested earlier; remove it to begin with a new key",
  });
}
