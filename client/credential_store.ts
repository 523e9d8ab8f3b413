/**
 * A kubelet's certificates on disk (client-go `certificate_store.go`; `kubelet-bootstrap.md` §6): dated files that are
 * never changed, and `<prefix>-current.pem`, a link to the newest that moves in one rename.
 */
import { join, resolve } from "node:path";
import type { Secret } from "../core/lib/brand.ts";
import { type CredentialPair, parseCertificateChain, parseCredentialPair } from "../core/bootstrap/credential_pair.ts";
import { AppError } from "../core/errors.ts";
import { encodePem, findPemBlock } from "../core/pki/pem.ts";
import type { Clock } from "../core/ports.ts";
import type { FilePort } from "./files.ts";
import { checkOwnFolder } from "./private_file.ts";

/** Where pairs are kept. */
export interface CredentialStoreOptions {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly certDir: string;
  /** `kubelet-client` or `kubelet-server`. */
  readonly prefix: string;
  /** Explicit pair to fall back on, such as the one a kubeconfig names. */
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** A pair on disk. */
export interface FoundPair {
  readonly pair: CredentialPair;
  /** The file or link that the key was read from. */
  readonly keyPath: string;
}

/** The pairs of one prefix. */
export interface CredentialStore {
  /** Absolute path of the link that programs read. */
  readonly currentPath: string;
  /** Where the key of a first request waits for its certificate. */
  readonly temporaryKeyPath: string;
  /** The pair in use; undefined when there is none. A pair that cannot be read is AppError `pki_invalid`. */
  current(): Promise<CredentialPair | undefined>;
  /** The same, with the path of the key, which a link may lead to. */
  find(): Promise<FoundPair | undefined>;
  /** AppError `file_exists` when `update` would find something that is no link in its way: better known before asking. */
  checkUpdatable(): Promise<void>;
  /**
   * Keeps a pair and makes it the current one. AppError `pki_invalid` for a chain or key that is broken or does not
   * match, `io` from the disk; the pair that was current stays so then.
   */
  update(certificatePem: string, keyPem: Secret<string>): Promise<CredentialPair>;
}

const FILE_MODE = 0o600;
/** kubelet's is 0755; but nobody else has anything to look for beside its keys. */
const DIRECTORY_MODE = 0o700;

/**
 * Opens the store and repairs a switch that was interrupted: a lone `-updated.pem` link becomes `-current.pem`. AppError
 * `file_permissions` for a folder that everybody may write to.
 */
export async function openCredentialStore(options: CredentialStoreOptions): Promise<CredentialStore> {
  const { files, clock, prefix } = options;
  const paths = resolvePaths(options);
  const { certDir, currentPath, updatedPath } = paths;
  await checkOwnFolder(certDir, files);
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

/** What `openCredentialStore` would find, without repairing or changing anything. */
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

/** The first combined file, else the explicit pair, else `<prefix>.crt` and `<prefix>.key`. */
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
  // Kubelet removes `current` first; the rename replaces it without a moment in which there is none.
  await files.rename(updatedPath, currentPath);
}

/** True for a symbolic link, false for nothing; a file there is somebody else's and stays. */
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
    hint: "remove the file to ask for a new certificate",
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

/** `YYYY-MM-DD-HH-MM-SS` in local time, as kubelet names its files. */
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
