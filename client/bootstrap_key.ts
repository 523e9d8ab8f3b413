/** The key of a first request: kept on disk before anybody is asked, so that a restart asks for the same thing. */
import { dirname, join } from "node:path";
import { AppError, isAppError, messageOf } from "../core/errors.ts";
import { generatePrivateKey, parsePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import type { CredentialStore } from "./credential_store.ts";
import type { FilePort } from "./files.ts";

/** A key that will survive a restart. */
export interface KeptKey {
  readonly key: PrivateKey;
  /** Where it is kept. */
  readonly path: string;
  /** True when it was there already. */
  readonly reused: boolean;
}

const KEY_MODE = 0o600;
const DIRECTORY_MODE = 0o755;

/** Path of the key that waits for its certificate. */
export function temporaryKeyPath(store: CredentialStore): string {
  return join(dirname(store.currentPath), "kubelet-client.key.tmp");
}

/**
 * The key of the current pair when it is RSA or ECDSA; else the one left by an interrupted run; else a new ECDSA P-256
 * one (`kubelet-bootstrap.md` §4 step 4). A kept key that cannot be read is AppError `key_invalid`, never overwritten.
 */
export async function keepKey(store: CredentialStore, files: FilePort): Promise<KeptKey> {
  // A pair that cannot be read is no obstacle here, as for kubelet: a new one will take its place.
  const current = await store.current().catch((error: unknown) => {
    if (isAppError(error, "pki_invalid")) return undefined;
    throw error;
  });
  if (current !== undefined && current.key.algorithm !== "Ed25519") {
    return { key: current.key, path: store.currentPath, reused: true };
  }
  const path = temporaryKeyPath(store);
  const text = await files.readText(path).catch((error: unknown) => {
    throw keyError(path, messageOf(error), error);
  });
  if (text !== undefined) {
    const key = parsePrivateKey(text);
    if (!key.ok) throw keyError(path, key.error);
    return { key: key.value, path, reused: true };
  }
  const key = await generatePrivateKey("ecdsa-p256");
  await files.makeDirectory(dirname(path), DIRECTORY_MODE);
  await files.writeAtomic(path, key.toPem(), KEY_MODE);
  return { key, path, reused: false };
}

function keyError(path: string, why: string, cause?: unknown): AppError {
  return new AppError("key_invalid", `error loading key from ${path}: ${why}`, {
    cause,
    hint: "remove that file to begin with a new key",
  });
}
