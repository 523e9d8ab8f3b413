/** The key of a first request: kept on disk before anybody is asked, so that a restart asks for the same thing. */
import { dirname } from "node:path";
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import { AppError } from "../core/errors.ts";
import { generatePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import type { Logger } from "../core/ports.ts";
import type { CredentialStore } from "./credential_store.ts";
import type { FilePort } from "./files.ts";
import { readPendingKey } from "./pending_key.ts";
import { findSecretFault } from "./private_file.ts";

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

/** A request that waits, as it is noted in front of its key. */
export interface RequestNote {
  readonly nodeName: string;
  /** The command that goes on with it. */
  readonly command: string;
}

/** In front of the PEM block, where RFC 7468 section 5.2 allows text. */
const NOTE = /^# The request of node (\S+) waits; to go on with it: (.+)$/;

/**
 * The key of the pair in use when it is RSA or ECDSA; else the one left by an interrupted run; else a new ECDSA P-256
 * one, as kubelet does (`pkg/kubelet/certificate/bootstrap/bootstrap.go` LoadClientCert). A kept key that cannot be
 * used is AppError `key_invalid`, never overwritten.
 */
export async function keepKey(
  store: CredentialStore,
  files: FilePort,
  { pair, isReusable }: StoredPair,
  note?: RequestNote,
): Promise<KeptKey> {
  if (isReusable && pair !== undefined && pair.key.algorithm !== "Ed25519") {
    return { key: pair.key, path: store.currentPath, reused: true };
  }
  const path = store.temporaryKeyPath;
  const left = await readPendingKey(path, files);
  // The run that left it came to its end but for removing it: its request is answered already.
  const isSpent = pair !== undefined && left?.toPem() === pair.key.toPem();
  const reused = left !== undefined && !isSpent;
  const key = reused ? left : await generatePrivateKey("ecdsa-p256");
  const text = (note === undefined ? "" : formatNote(note)) + key.toPem();
  if (reused && await files.readText(path) === text) return { key, path, reused };
  await files.makeDirectory(dirname(path), DIRECTORY_MODE);
  await files.writeAtomic(path, text, KEY_MODE);
  return { key, path, reused };
}

/** The note of a request; undefined where there is nothing to note. */
export function toRequestNote(nodeName: string | undefined, command: string | undefined): RequestNote | undefined {
  return nodeName === undefined || command === undefined ? undefined : { nodeName, command };
}

function formatNote({ nodeName, command }: RequestNote): string {
  return `# The request of node ${nodeName} waits; to go on with it: ${command}\n`;
}

/**
 * Whether a key waits for its certificate at `path`, and what was noted of its request. A file that another user may have
 * put there is not read: its command could be anything.
 */
export async function findWaitingRequest(
  path: string,
  files: FilePort,
): Promise<{ readonly note: RequestNote | undefined } | undefined> {
  const found = await files.readOpened(path);
  if (found === undefined) return undefined;
  const [line = ""] = found.text.split("\n", 1);
  const [, nodeName, command] = findSecretFault(found.facts) === undefined ? NOTE.exec(line) ?? [] : [];
  return { note: nodeName === undefined || command === undefined ? undefined : { nodeName, command } };
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
