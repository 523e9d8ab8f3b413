/**
 * A kubelet's certificates on disk (client-go `util/certificate/certificate_store.go`): dated files that are never
 * changed, and `<prefix>-current.pem`, a link to the newest one that is replaced in one rename.
 */
import { join, resolve } from "node:path";
import type { Secret } from "../../core/lib/brand.ts";
import { type CredentialPair, parseCertificateChain, parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import { encodePem, findPemBlock } from "../../core/pki/asn1/pem.ts";
import type { Clock } from "../../core/ports.ts";
import type { FilePort } from "../files.ts";
import { checkSecretFolder } from "../private_file.ts";

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

/** A pair on disk, with the file of its key. */
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

const FILE_MODE = 0o600;
/** kubelet uses 0755, but other users have no reason to read a folder of keys. */
const DIRECTORY_MODE = 0o700;

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
      await files.makeDirectory(certDir, DIRECTORY_MODE);
      await files.writeAtomic(path, text, FILE_MODE);
      await switchCurrent(files, { path, currentPath, updatedPath });
      return pair;
    },
  };
}

/** Opens the store read-only: it finds the same pair as `openCredentialStore`, but changes nothing. */
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
