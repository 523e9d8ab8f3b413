/**
 * A kubelet's certificates on disk (client-go `util/certificate/certificate_store.go`): dated files that are never
 * changed, and `<prefix>-current.pem`, a link to the newest one that is replaced in one rename. The key of a pending
 * request is kept there too until its certificate is stored, so that the next run after an interruption repeats the
 * request and finds it in the API by its name.
 */
import { dirname, join, resolve } from "node:path";
import type { Secret } from "../../core/lib/brand.ts";
import { type CredentialPair, parseCertificateChain, parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import { encodePem, findPemBlock } from "../../core/pki/asn1/pem.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import {
  findKeyAlgorithm,
  generatePrivateKey,
  type KeyAlgorithm,
  parsePrivateKey,
  type PrivateKey,
  publicKeysEqual,
} from "../../core/pki/keys/keys.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { type FilePort, FOLDER_MODE, SECRET_MODE } from "../files.ts";
import { checkSecretFolder, findSecretFault } from "../private_file.ts";

/** The location of the stored pairs. */
export interface CredentialStoreOptions {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly certDir: string;
  /** The prefix of the files, such as `kubelet-client` or `kubelet-server`. */
  readonly prefix: string;
  /** A pair to fall back on, such as the one of a kubeconfig. */
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** A pair on disk and the file of its key. */
export interface FoundPair {
  readonly pair: CredentialPair;
  /** The file or link that the key was read from. */
  readonly keyPath: string;
}

/** A store of the pairs with one prefix. */
export interface CredentialStore {
  /** The absolute path of the link that programs read. */
  readonly currentPath: string;
  /** The file of the key of a pending first request. */
  readonly temporaryKeyPath: string;
  /** Reads the current pair; undefined when there is none. AppError `pki_invalid` when it cannot be parsed. */
  current(): Promise<CredentialPair | undefined>;
  /** Reads the current pair with the path of its key, which may be a link. */
  find(): Promise<FoundPair | undefined>;
  /**
   * Checks before a request that `update` can replace the links. AppError `file_exists` when a regular file is there.
   */
  checkUpdatable(): Promise<void>;
  /**
   * Stores a pair and makes it the current one. AppError `pki_invalid` for a chain and key that are broken or do not
   * match, `io` for the disk; then the current pair stays.
   */
  update(certificatePem: string, keyPem: Secret<string>): Promise<CredentialPair>;
}

/**
 * Opens the store and completes an interrupted switch: an `-updated.pem` link without `-current.pem` takes its place.
 * AppError `file_permissions` for a world-writable folder.
 */
export async function openCredentialStore(options: CredentialStoreOptions): Promise<CredentialStore> {
  const { files, clock, prefix } = options;
  const paths = resolvePaths(options);
  const { certDir, currentPath, updatedPath } = paths;
  await checkSecretFolder(certDir, files);
  await recover(files, currentPath, updatedPath);
  const find = () => findPair([currentPath], paths, options);
  return {
    ...paths,
    current: async () => (await find())?.pair,
    find,
    async checkUpdatable() {
      for (const path of [currentPath, updatedPath]) await checkLink(files, path);
    },
    async update(certificatePem, keyPem) {
      const text = encodeCombined(certificatePem, keyPem.reveal());
      const path = join(certDir, `${prefix}-${formatLocalTime(clock.now())}.pem`);
      const pair = load(text, text, path);
      // kubelet uses 0755, but other users have no reason to read a folder of keys.
      await files.makeDirectory(certDir, FOLDER_MODE);
      await files.writeAtomic(path, text, SECRET_MODE);
      await switchCurrent(files, { path, currentPath, updatedPath });
      return pair;
    },
  };
}

/** Opens the store read-only. It finds the same pair as `openCredentialStore` and changes nothing. */
export function viewCredentialStore(
  options: CredentialStoreOptions,
): Omit<CredentialStore, "checkUpdatable" | "update"> {
  const paths = resolvePaths(options);
  const find = () => findPair([paths.currentPath, paths.updatedPath], paths, options);
  return { ...paths, current: async () => (await find())?.pair, find };
}

interface StorePaths {
  readonly certDir: string;
  readonly currentPath: string;
  readonly updatedPath: string;
  readonly temporaryKeyPath: string;
}

function resolvePaths({ certDir, prefix }: CredentialStoreOptions): StorePaths {
  const folder = resolve(certDir);
  return {
    certDir: folder,
    currentPath: join(folder, `${prefix}-current.pem`),
    updatedPath: join(folder, `${prefix}-updated.pem`),
    temporaryKeyPath: join(folder, `${prefix}.key.tmp`),
  };
}

/** Finds the first combined file, else the explicit pair, else `<prefix>.crt` and `<prefix>.key`. */
async function findPair(
  combinedPaths: readonly string[],
  { certDir }: StorePaths,
  { files, prefix, certFile, keyFile }: CredentialStoreOptions,
): Promise<FoundPair | undefined> {
  for (const path of combinedPaths) {
    const combined = await files.readText(path);
    if (combined !== undefined) return { pair: load(combined, combined, path), keyPath: path };
  }
  const candidates = [
    [certFile, keyFile],
    [join(certDir, `${prefix}.crt`), join(certDir, `${prefix}.key`)],
  ] as const;
  for (const [certificatePath, keyPath] of candidates) {
    if (certificatePath === undefined || keyPath === undefined) continue;
    const [certificate, key] = [await files.readText(certificatePath), await files.readText(keyPath)];
    if (certificate !== undefined && key !== undefined) {
      return { pair: load(certificate, key, certificatePath), keyPath };
    }
  }
  return undefined;
}

async function recover(files: FilePort, currentPath: string, updatedPath: string): Promise<void> {
  if (await files.stat(currentPath) !== undefined) return;
  if (await checkLink(files, updatedPath)) await files.rename(updatedPath, currentPath);
}

async function switchCurrent(
  files: FilePort,
  paths: { readonly path: string; readonly currentPath: string; readonly updatedPath: string },
): Promise<void> {
  const { path, currentPath, updatedPath } = paths;
  await checkLink(files, currentPath);
  if (await checkLink(files, updatedPath)) await files.unlink(updatedPath);
  if (await files.stat(path) === undefined) {
    throw new AppError("io", `file "${path}" does not exist so it can not be used as the currently selected cert/key`);
  }
  await files.symlink(path, updatedPath);
  // kubelet removes `current` first. A rename replaces it atomically, so that there is always a current pair.
  await files.rename(updatedPath, currentPath);
}

/**
 * Returns true for a symbolic link, and false when the path does not exist. Throws for a regular file, which is never
 * overwritten.
 */
async function checkLink(files: FilePort, path: string): Promise<boolean> {
  const facts = await files.lstat(path);
  if (facts === undefined) return false;
  if (facts.kind === "symlink") return true;
  throw new AppError("file_exists", `expected "${path}" to be a symlink but it is a file`, {
    hint: "move that file away, then run the command again",
  });
}

function load(certificatePem: string, keyPem: string, path: string): CredentialPair {
  const pair = parseCredentialPair(certificatePem, keyPem);
  if (pair.ok) return pair.value;
  throw new AppError("pki_invalid", `could not convert data from "${path}" into cert/key pair: ${pair.error}`, {
    hint: "remove the file to request a new certificate",
  });
}

function encodeCombined(certificatePem: string, keyPem: string): string {
  const chain = parseCertificateChain(certificatePem);
  if (!chain.ok) throw new AppError("pki_invalid", `invalid certificate data: ${chain.error}`);
  const key = findPemBlock(keyPem)?.block;
  if (key === undefined) throw new AppError("pki_invalid", "invalid key data");
  const blocks = chain.value.map((certificate) => encodePem("CERTIFICATE", certificate.der));
  return [...blocks, encodePem(key.label, key.bytes)].join("");
}

/** Formats a time as `YYYY-MM-DD-HH-MM-SS` in local time, as in kubelet's file names. */
function formatLocalTime(date: Date): string {
  const parts = [
    date.getFullYear(),
    date.getMonth() + 1,
    date.getDate(),
    date.getHours(),
    date.getMinutes(),
    date.getSeconds(),
  ];
  return parts.map((part) => String(part).padStart(2, "0")).join("-");
}

/** A key that survives a restart. */
export interface KeptKey {
  readonly key: PrivateKey;
  /** The file that holds the key. */
  readonly path: string;
  /** True when an earlier run, or another one at the same time, stored the key. */
  readonly isReused: boolean;
}

/** The file of a key, and the conditions that a key must meet. */
interface KeepKeyOptions {
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
    if (note !== undefined && kept.text !== text) await files.writeAtomic(path, text, SECRET_MODE);
    return { key: kept.key, path, isReused: true };
  }
  const key = await generatePrivateKey(algorithm ?? "ecdsa-p256");
  check?.(key);
  // An earlier run stored the certificate of this key without removing the key.
  if (kept !== undefined) await files.unlink(path);
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  try {
    await files.createExclusive(path, formatKey(key, note), SECRET_MODE);
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

/** Refuses a key that another user may have read or written, because that user could use its certificate too. */
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
    hint: "it was kept for an earlier request; remove it to begin with a new key",
  });
}
