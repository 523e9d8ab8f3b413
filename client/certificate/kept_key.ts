/**
 * The key of a certificate that is not issued yet. It is kept on disk from before the request until the certificate is
 * stored, so that the next run after an interruption repeats the same request and finds it in the API by its name.
 */
import { dirname } from "node:path";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import {
  findKeyAlgorithm,
  generatePrivateKey,
  type KeyAlgorithm,
  parsePrivateKey,
  type PrivateKey,
  publicKeysEqual,
} from "../../core/pki/keys/keys.ts";
import type { Logger } from "../../core/ports.ts";
import type { FilePort } from "../files.ts";
import { findSecretFault } from "../private_file.ts";

/** A key that survives a restart. */
export interface KeptKey {
  readonly key: PrivateKey;
  /** The file that holds the key. */
  readonly path: string;
  /** True when an earlier run, or another one at the same time, stored the key. */
  readonly isReused: boolean;
}

/** The file of a key, and which keys may be used. */
export interface KeepKeyOptions {
  readonly path: string;
  readonly files: FilePort;
  /** The algorithm of the key. Default: ECDSA P-256 for a new key, as in kubelet, and any for a kept one. */
  readonly algorithm?: KeyAlgorithm | undefined;
  /** The stored certificate; a kept key that belongs to it is not used again. */
  readonly stored?: CertificateFacts | undefined;
  /** Stored in front of the key, so that `doctor` can show it. */
  readonly note?: RequestNote | undefined;
  /** Throws when the key must not be stored. */
  readonly check?: (key: PrivateKey) => void;
}

export interface RequestNote {
  readonly nodeName: string;
  /** The command that continues the request. */
  readonly command: string;
}

const KEY_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** The note before the PEM block, where RFC 7468 section 5.2 allows text. */
const NOTE = /^# The request of node (\S+) waits; to continue: (.+)$/;

/**
 * Returns the key of an interrupted run, or stores a new one. When another run stores one at the same moment, that key is
 * returned. AppError `key_invalid` for a file that does not hold a usable key; it is never overwritten.
 */
export async function keepKey(options: KeepKeyOptions): Promise<KeptKey> {
  const { path, files, algorithm, stored, note, check } = options;
  const kept = await readKeptKey(path, files);
  if (kept !== undefined && !matchesCertificate(stored, kept.key)) {
    if (algorithm !== undefined) checkAlgorithm(kept.key, algorithm, path);
    check?.(kept.key);
    const text = formatKey(kept.key, note);
    if (note !== undefined && kept.text !== text) await files.writeAtomic(path, text, KEY_MODE);
    return { key: kept.key, path, isReused: true };
  }
  const key = await generatePrivateKey(algorithm ?? "ecdsa-p256");
  check?.(key);
  // The earlier run stored the certificate of this key, but did not remove the key.
  if (kept !== undefined) await files.unlink(path);
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  try {
    await files.createExclusive(path, formatKey(key, note), KEY_MODE);
    return { key, path, isReused: false };
  } catch (error) {
    if (!isAppError(error, "file_exists")) throw error;
    return await keepKey(options);
  }
}

/** Removes a kept key after its certificate is stored. With a logger, a failure is only logged, as in kubelet. */
export async function forgetKey(path: string, files: FilePort, logger?: Logger): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (logger === undefined || !(error instanceof AppError)) throw error;
    logger.warn("cannot remove the temporary key", { error: error.message });
  }
}

/** Removes the kept key of a run that stored its certificate but ended before it removed the key. */
export async function forgetSpentKey(
  { path, files, stored }: Pick<KeepKeyOptions, "path" | "files" | "stored">,
): Promise<void> {
  if (stored === undefined) return;
  const key = parsePrivateKey(await files.readText(path) ?? "");
  if (key.ok && matchesCertificate(stored, key.value)) await files.unlink(path);
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

/** Refuses a key that another user may have written or can read: a certificate for that key would be theirs. */
async function readKeptKey(
  path: string,
  files: FilePort,
): Promise<{ readonly key: PrivateKey; readonly text: string } | undefined> {
  const found = await files.readOpened(path).catch((error: unknown) => {
    throw createKeyError(path, getErrorMessage(error), error);
  });
  if (found === undefined) return undefined;
  const fault = findSecretFault(found.facts);
  if (fault !== undefined) throw createKeyError(path, fault);
  const key = parsePrivateKey(found.text);
  if (!key.ok) throw createKeyError(path, key.error);
  return { key: key.value, text: found.text };
}

function matchesCertificate(certificate: CertificateFacts | undefined, key: PrivateKey): boolean {
  return certificate !== undefined && publicKeysEqual(key.publicKeyDer(), certificate.publicKeyDer);
}

function checkAlgorithm(key: PrivateKey, algorithm: KeyAlgorithm, path: string): void {
  const found = findKeyAlgorithm(key);
  if (found === algorithm) return;
  throw createKeyError(path, `it is ${found ?? `a key of ${key.bits} bits`}, but ${algorithm} was requested`);
}

function formatKey(key: PrivateKey, note: RequestNote | undefined): string {
  if (note === undefined) return key.toPem();
  return `# The request of node ${note.nodeName} waits; to continue: ${note.command}\n${key.toPem()}`;
}

function createKeyError(path: string, why: string, cause?: unknown): AppError {
  return new AppError("key_invalid", `cannot use the key in "${path}": ${why}`, {
    cause,
    hint: "it was kept for a certificate that was requested earlier; remove it to begin with a new key",
  });
}
