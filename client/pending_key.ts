/** A key that waits for its certificate: on disk before anybody is asked, so that a restart asks for the same thing. */
import { dirname } from "node:path";
import { AppError, isAppError } from "../core/errors.ts";
import { type KeyAlgorithm, keyAlgorithmOf, parsePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import type { FilePort } from "./files.ts";

const KEY_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** The key that an earlier run left; undefined when there is none. AppError `key_invalid` for what is none, or of another kind. */
export async function findPendingKey(
  path: string,
  algorithm: KeyAlgorithm,
  files: FilePort,
): Promise<PrivateKey | undefined> {
  const text = await files.readText(path);
  if (text === undefined) return undefined;
  const key = parsePrivateKey(text);
  if (!key.ok) throw keyError(path, key.error);
  const found = keyAlgorithmOf(key.value);
  if (found === algorithm) return key.value;
  throw keyError(path, `it is ${found ?? `a key of ${key.value.bits} bits`}, asked was ${algorithm}`);
}

/** Keeps a new key where none is; when somebody else was faster, theirs counts. */
export async function keepPendingKey(path: string, key: PrivateKey, files: FilePort): Promise<PrivateKey> {
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  try {
    await files.createExclusive(path, key.toPem(), KEY_MODE);
    return key;
  } catch (error) {
    if (!isAppError(error, "file_exists")) throw error;
    const theirs = parsePrivateKey(await files.readText(path) ?? "");
    if (theirs.ok) return theirs.value;
    throw keyError(path, theirs.error);
  }
}

function keyError(path: string, why: string): AppError {
  return new AppError("key_invalid", `cannot go on with the key in "${path}": ${why}`, {
    hint: "it waits for a certificate that was asked for earlier; remove it to begin with a new key",
  });
}
