/** The key of a first request: kept on disk before anybody is asked, so that a restart asks for the same thing. */
import { dirname } from "node:path";
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import { AppError } from "../core/errors.ts";
import { generatePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import type { Logger } from "../core/ports.ts";
import type { CredentialStore } from "./credential_store.ts";
import type { FilePort } from "./files.ts";
import { readPendingKey } from "./pending_key.ts";

/** A key that will survive a restart. */
export interface KeptKey {
  readonly key: PrivateKey;
  /** Where it is kept. */
  readonly path: string;
  /** True when it was there already. */
  readonly reused: boolean;
}

const KEY_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** What a store has, for the choice of a key. */
export interface StoredPair {
  readonly pair: CredentialPair | undefined;
  /** Whether the pair's key may be asked for again. */
  readonly isReusable: boolean;
}

/**
 * The key of the pair in use when it is RSA or ECDSA; else the one left by an interrupted run; else a new ECDSA P-256
 * one, as kubelet does (`pkg/kubelet/certificate/bootstrap/bootstrap.go` LoadClientCert). A kept key that cannot be
 * used is AppError `key_invalid`, never overwritten.
 */
export async function keepKey(
  store: CredentialStore,
  files: FilePort,
  { pair, isReusable }: StoredPair,
): Promise<KeptKey> {
  if (isReusable && pair !== undefined && pair.key.algorithm !== "Ed25519") {
    return { key: pair.key, path: store.currentPath, reused: true };
  }
  const path = store.temporaryKeyPath;
  const left = await readPendingKey(path, files);
  // The run that left it came to its end but for removing it: its request is answered already.
  const isSpent = pair !== undefined && left?.toPem() === pair.key.toPem();
  if (left !== undefined && !isSpent) return { key: left, path, reused: true };
  const key = await generatePrivateKey("ecdsa-p256");
  await files.makeDirectory(dirname(path), DIRECTORY_MODE);
  await files.writeAtomic(path, key.toPem(), KEY_MODE);
  return { key, path, reused: false };
}

/** The certificate is stored by now: a key that stays behind is only untidy, as kubelet sees it. */
export async function forgetKey(
  store: CredentialStore,
  { files, logger }: { readonly files: FilePort; readonly logger: Logger },
): Promise<void> {
  try {
    await files.unlink(store.temporaryKeyPath);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    logger.warn("cannot remove the temporary key", { error: error.message });
  }
}
