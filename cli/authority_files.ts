/** The CA in the data folder: `pki/ca.crt` and `pki/ca.key`. Never overwritten; refused when others can read the key. */
import { dirname, sep } from "node:path";
import type { FilePort } from "../client/files.ts";
import { AppError } from "../core/errors.ts";
import { type Authority, createAuthority, parseChainedAuthority } from "../core/pki/authority.ts";
import { generatePrivateKey, type KeyAlgorithm, parsePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import type { Clock, Random } from "../core/ports.ts";
import { dataDirAt, FOLDER_MODE, PUBLIC_MODE, SECRET_MODE } from "./site/data_dir.ts";

/** Where the two files are. */
export interface AuthorityPaths {
  readonly certificate: string;
  readonly key: string;
}

/** What a new CA is to be. */
export interface NewAuthority {
  readonly commonName: string;
  readonly keyAlgorithm: KeyAlgorithm;
  readonly lifeMs: number;
}

/** What making a CA needs. */
export interface AuthorityDeps {
  readonly files: FilePort;
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
}

/** Clocks of other machines may be late (`kubeadm` CertificateBackdate). */
const BACKDATE_MS = 5 * 60_000;
const SERIAL_BYTES = 16;
const OTHERS = 0o077;

/** The paths of the CA below a data folder. */
export function authorityPaths(dataDir: string): AuthorityPaths {
  const { caCertificate, caKey } = dataDirAt(dataDir);
  return { certificate: caCertificate, key: caKey };
}

/** Reads the CA. AppError `not_found` when a file is missing, `file_permissions`, `ca_invalid`. */
export async function readAuthorityFiles(dataDir: string, files: FilePort): Promise<Authority> {
  const paths = authorityPaths(dataDir);
  const certificate = await readRequired(paths.certificate, files);
  await checkPrivate(paths.key, files);
  const authority = parseChainedAuthority(certificate, await readRequired(paths.key, files));
  if (authority.ok) return authority.value;
  throw new AppError("ca_invalid", `cannot use the CA in "${dataDir}": ${authority.error}`, {
    hint: "put back the certificate and the key that belong together",
  });
}

/**
 * Makes the CA and writes it. A key without a certificate, left by an interruption, is finished rather than replaced.
 * AppError `file_exists` when there is a CA.
 */
export async function createAuthorityFiles(
  dataDir: string,
  options: NewAuthority,
  deps: AuthorityDeps,
): Promise<Authority> {
  const { files, clock, random } = deps;
  const paths = authorityPaths(dataDir);
  if (await files.lstat(paths.certificate) !== undefined) {
    throw new AppError("file_exists", `cannot create a CA: "${paths.certificate}" exists`, {
      hint: "an existing CA is never overwritten: choose another --data-dir, or move the old one away",
    });
  }
  await files.makeDirectory(dirname(paths.key), FOLDER_MODE);
  const key = await findKey(paths.key, files) ?? await createKey(paths.key, options.keyAlgorithm, deps);
  const now = clock.now().getTime();
  const authority = await createAuthority({
    commonName: options.commonName,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + options.lifeMs),
    key,
    serial: random.bytes(SERIAL_BYTES),
  });
  await files.createExclusive(paths.certificate, authority.certificatePem, PUBLIC_MODE);
  return authority;
}

async function findKey(path: string, files: FilePort): Promise<PrivateKey | undefined> {
  if (await files.lstat(path) === undefined) return undefined;
  await checkPrivate(path, files);
  const key = parsePrivateKey(await readRequired(path, files));
  if (key.ok) return key.value;
  throw new AppError("file_exists", `cannot create a CA: "${path}" exists and is no key: ${key.error}`, {
    hint: "an existing key is never overwritten: choose another --data-dir, or move the file away",
  });
}

async function createKey(path: string, algorithm: KeyAlgorithm, deps: AuthorityDeps): Promise<PrivateKey> {
  const key = await generatePrivateKey(algorithm);
  await deps.files.createExclusive(path, key.toPem(), SECRET_MODE);
  return key;
}

/** Refuses a key that others can read: AppError `file_permissions`. Windows has no such bits and reports none that would matter. */
export async function checkPrivate(path: string, files: FilePort): Promise<void> {
  const facts = await files.stat(path);
  if (facts === undefined || (facts.mode & OTHERS) === 0 || isWindowsMode(facts.mode)) return;
  throw new AppError("file_permissions", `cannot use "${path}": others may read it (mode ${facts.mode.toString(8)})`, {
    hint: `chmod 600 ${path}`,
  });
}

/** Windows shows every file as 666 or 444. */
function isWindowsMode(mode: number): boolean {
  return sep === "\\" && (mode === 0o666 || mode === 0o444);
}

async function readRequired(path: string, files: FilePort): Promise<string> {
  const text = await files.readText(path);
  if (text !== undefined) return text;
  throw new AppError("not_found", `cannot read "${path}": file does not exist`, {
    hint: "make a CA with: tlsboot ca init",
  });
}
