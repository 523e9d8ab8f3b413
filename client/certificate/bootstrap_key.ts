/** The key of a first request: it is stored before the request is made, so a restart makes the same request. */
import { dirname } from "node:path";
import type { CredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import { generatePrivateKey, type PrivateKey } from "../../core/pki/keys.ts";
import type { Logger } from "../../core/ports.ts";
import type { CredentialStore } from "./credential_store.ts";
import type { FilePort } from "../files.ts";
import { readPendingKey } from "./pending_key.ts";
import { findSecretFault } from "../private_file.ts";

/** A key that is stored on disk and survives a restart. */
export interface KeptKey {
  readonly key: PrivateKey;
  /** The file that holds the key. */
  readonly path: string;
  /** True when an earlier run stored the key. */
  readonly reused: boolean;
}

const KEY_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** The stored pair, for the choice of a key. */
export interface StoredPair {
  readonly pair: CredentialPair | undefined;
  /** Whether a new request may use the pair's key. */
  readonly isReusable: boolean;
}

/** A note about a pending request, written before its key. */
export interface RequestNote {
  readonly nodeName: string;
  /** The command that continues the request. */
  readonly command: string;
}

/** The note before the PEM block, where RFC 7468 section 5.2 allows text. */
const NOTE = /^# The request of node (\S+) waits; to go on with it: (.+)$/;

/**
 * Chooses a key and stores it: the key of the current pair when it is RSA or ECDSA, else the key of an interrupted run,
 * else a new ECDSA P-256 key, as kubelet does (`pkg/kubelet/certificate/bootstrap/bootstrap.go`, LoadClientCert). A
 * stored key that cannot be used is AppError `key_invalid` and is never overwritten.
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
  const pending = await readPendingKey(path, files);
  // The earlier run stored the certificate but did not remove the key: its request is answered already.
  const isSpent = pair !== undefined && pending?.toPem() === pair.key.toPem();
  const reused = pending !== undefined && !isSpent;
  const key = reused ? pending : await generatePrivateKey("ecdsa-p256");
  const text = (note === undefined ? "" : formatNote(note)) + key.toPem();
  if (reused && await files.readText(path) === text) return { key, path, reused };
  await files.makeDirectory(dirname(path), DIRECTORY_MODE);
  await files.writeAtomic(path, text, KEY_MODE);
  return { key, path, reused };
}

/** Creates the note of a request; undefined when the node name or the command is unknown. */
export function toRequestNote(nodeName: string | undefined, command: string | undefined): RequestNote | undefined {
  return nodeName === undefined || command === undefined ? undefined : { nodeName, command };
}

function formatNote({ nodeName, command }: RequestNote): string {
  return `# The request of node ${nodeName} waits; to go on with it: ${command}\n`;
}

/**
 * Finds the pending request whose key is at `path`, with its note. The note of a file that another user may have
 * written is ignored, because its command could be anything.
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

/** Removes the temporary key after its certificate is stored. A failure is only logged, as in kubelet. */
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
