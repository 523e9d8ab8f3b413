/**
 * Reads and creates CAs on disk, each a certificate and a key. They are never overwritten, and never used if other
 * users can read the key.
 */
import { SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { type CertificateChain, encodeTrust, parseAuthorityChain } from "../../core/pki/x509/ca_bundle.ts";
import { BACKDATE_MS } from "../../core/signing/profile.ts";
import { dirname } from "node:path";
import { type FilePort, FOLDER_MODE, PUBLIC_MODE, SECRET_MODE } from "../../client/files.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { equalsInConstantTime } from "../../core/lib/brand.ts";
import {
  type Authority,
  createAuthority,
  joinAuthority,
  parseAuthorityCertificates,
} from "../../core/pki/authority/authority.ts";
import { generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../core/pki/keys/keys.ts";
import type { NameConstraints } from "../../core/pki/x509/name_constraints.ts";
import type { Clock, Random } from "../../core/ports.ts";
import { assertKnownFormat, ensureFormat } from "../data_dir.ts";
import { type CaKeys, openProgramKey } from "./keys.ts";
import { checkPrivateFile, checkSecretFolder } from "../../client/private_file.ts";
import { type AuthorityPaths, authorityPaths, type CaPurpose, getSwapMarker, SPLIT_PURPOSES } from "./layout.ts";
import type { CaKeySource } from "../../controllers/mod.ts";

/** The properties of a new CA. */
export interface NewAuthority {
  readonly commonName: string;
  readonly keyAlgorithm: KeyAlgorithm;
  readonly lifetimeMs: number;
  readonly nameConstraints?: NameConstraints | undefined;
  /** Whether the key is encrypted even without a passphrase file; then the command prompts for the passphrase. */
  readonly isEncrypted?: boolean;
}

const MAKE_CA = "create a CA with: tlsboot ca init";

/** The ports that creating a CA uses. */
export interface AuthorityDeps {
  readonly files: FilePort;
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
  readonly keys: CaKeys;
}

/**
 * Reads a CA. Throws AppError `not_found` when a file is missing, `file_permissions`, `ca_invalid`, `passphrase_missing`
 * and `passphrase_wrong`.
 */
export async function readAuthority(paths: AuthorityPaths, files: FilePort, keys: CaKeys): Promise<Authority> {
  return await readWithKey(paths, keys.getSource(paths), files);
}

/**
 * Reads a CA in two files that are not part of a data directory. Without a key file, a program holds the key. Throws as
 * {@link readAuthority}.
 */
export async function readNamedAuthority(
  certificate: string,
  keyFile: string | undefined,
  files: FilePort,
  keys: CaKeys,
): Promise<Authority> {
  const source = keys.getNamedSource(certificate, keyFile);
  return await readWithKey({ certificate, key: source.name }, source, files, "check the paths of the CA's files");
}

async function readWithKey(
  paths: AuthorityPaths,
  source: CaKeySource,
  files: FilePort,
  hint = MAKE_CA,
): Promise<Authority> {
  const certificates = parseAuthorityCertificates(await readRequired(paths.certificate, files, hint));
  if (!certificates.ok) throw createCaError(paths.certificate, certificates.error);
  const key = await source.open(await readState(source, hint));
  const authority = key.ok ? await joinAuthority(certificates.value, key.value) : key;
  if (authority.ok) return authority.value;
  if (await files.lstat(getSwapMarker(paths)) === undefined) throw createCaError(paths.certificate, authority.error);
  throw new AppError("ca_invalid", `cannot use the CA "${paths.certificate}": ${authority.error}`, {
    hint: "a program was stopped while it replaced this CA: to complete that, start the server, or run the stopped " +
      "tlsboot ca rotate command again",
  });
}

async function readState(source: CaKeySource, hint: string): Promise<string> {
  try {
    return await source.state();
  } catch (error) {
    // The file does not exist. Errors that have a hint are passed on.
    if (isAppError(error, "io") && error.hint === undefined) throw createMissingFileError(source.name, hint);
    throw error;
  }
}

/** Reads the certificate of a CA and its issuers from its file. Throws AppError `not_found` and `ca_invalid`. */
export async function readChain(
  { certificate }: AuthorityPaths,
  files: Pick<FilePort, "readText">,
): Promise<CertificateChain> {
  const chain = parseAuthorityChain(await readRequired(certificate, files));
  if (chain.ok) return chain.value;
  throw createCaError(certificate, chain.error);
}

/**
 * Reports whether the data directory has a CA for each purpose instead of one for everything. Throws AppError
 * `not_found` when it has none, `ca_invalid` when some are missing, because no CA may silently replace another, and
 * `format_unknown`.
 */
export async function hasSplitAuthorities(dataDir: string, files: FilePort): Promise<boolean> {
  await assertKnownFormat(dataDir, files);
  const found = await findExistingPurposes(dataDir, files);
  const { certificate } = authorityPaths(dataDir);
  if (await files.lstat(certificate) === undefined) {
    throw createMissingFileError(certificate);
  }
  const missing = SPLIT_PURPOSES.filter((purpose) => !found.includes(purpose));
  if (missing.length === 0 || found.length === 0) return missing.length === 0;
  const [present, absent] = [found, missing].map((purposes) =>
    purposes.map((purpose) => authorityPaths(dataDir, purpose).certificate).join(", ")
  );
  throw new AppError("ca_invalid", `cannot use the CAs in "${dataDir}": there is ${present} but not ${absent}`, {
    hint: "restore the missing files; pki/ca.crt is used for everything only when all of these are absent",
  });
}

/**
 * Creates the CA for everything. The key of an interrupted run is reused. Throws AppError `file_exists` when there is a
 * CA, or part of a split CA.
 */
export async function createSingleAuthority(
  dataDir: string,
  options: NewAuthority,
  deps: AuthorityDeps,
): Promise<Authority> {
  await assertNoCa(dataDir, deps.files);
  await assertNoneBegun(dataDir, deps.files);
  await prepareFolder(dataDir, deps.files);
  return await createAuthorityFiles(authorityPaths(dataDir), options, deps);
}

/**
 * Creates a CA for each purpose, the one for serving last, because it completes the set. CAs of an interrupted run are
 * kept. Throws AppError `file_exists` when the set is complete or there is a CA for everything.
 */
export async function createSplitAuthorities(
  dataDir: string,
  options: NewAuthority,
  deps: AuthorityDeps,
): Promise<void> {
  await assertNoCa(dataDir, deps.files);
  const existing = await findExistingPurposes(dataDir, deps.files);
  await prepareFolder(dataDir, deps.files);
  for (const purpose of SPLIT_PURPOSES) {
    const paths = authorityPaths(dataDir, purpose);
    const commonName = `${options.commonName}-${purpose}`;
    if (existing.includes(purpose)) await readAuthority(paths, deps.files, deps.keys);
    else await createAuthorityFiles(paths, { ...options, commonName }, deps);
  }
  await createAuthorityFiles(authorityPaths(dataDir), options, deps);
}

/**
 * Writes an imported CA, without a key if a program holds it. The key replaces the data directory's key if it was read
 * from there, as `sourceKeyPem`. Throws AppError `file_exists` when there is a CA or another key.
 */
export async function writeImportedAuthority(
  dataDir: string,
  authority: {
    readonly chain: CertificateChain;
    readonly keyPem: string | undefined;
    readonly sourceKeyPem: string | undefined;
  },
  files: FilePort,
): Promise<void> {
  const paths = authorityPaths(dataDir);
  await assertNoCa(dataDir, files);
  await assertNoneBegun(dataDir, files);
  await prepareFolder(dataDir, files);
  await files.makeDirectory(dirname(paths.key), FOLDER_MODE);
  const { keyPem, sourceKeyPem } = authority;
  const presentKeyPem = await files.readText(paths.key);
  const isPresent = (pem: string | undefined): boolean =>
    presentKeyPem !== undefined && pem !== undefined && equalsInConstantTime(presentKeyPem, pem);
  if (keyPem !== undefined && !isPresent(keyPem)) {
    if (isPresent(sourceKeyPem)) await files.writeAtomic(paths.key, keyPem, SECRET_MODE);
    else await files.createExclusive(paths.key, keyPem, SECRET_MODE);
  }
  await files.createExclusive(paths.certificate, encodeTrust(authority.chain), PUBLIC_MODE);
}

/** Creates a CA at two paths. The key of an interrupted run is reused. */
export async function createAuthorityFiles(
  paths: AuthorityPaths,
  options: NewAuthority,
  deps: AuthorityDeps,
): Promise<Authority> {
  const { files, clock, random } = deps;
  const key = deps.keys.hasProgram
    ? await openProgramKey(paths.certificate, deps.keys)
    : await ensureKey(paths.key, options, deps);
  const now = clock.now().getTime();
  const authority = await createAuthority({
    commonName: options.commonName,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + options.lifetimeMs),
    nameConstraints: options.nameConstraints,
    key,
    serial: random.bytes(SERIAL_BYTES),
  });
  await files.makeDirectory(dirname(paths.certificate), FOLDER_MODE);
  await files.createExclusive(paths.certificate, authority.certificatePem, PUBLIC_MODE);
  return authority;
}

/** Opens the key of a CA at a path, or creates it. Throws AppError `file_exists` when another file is there. */
export async function ensureKey(
  path: string,
  options: Pick<NewAuthority, "keyAlgorithm" | "isEncrypted">,
  deps: AuthorityDeps,
): Promise<PrivateKey> {
  await deps.files.makeDirectory(dirname(path), FOLDER_MODE);
  return await findKey(path, deps) ?? await createKey(path, options, deps);
}

/** Creates the data directory, and checks that this program knows its format. */
export async function prepareFolder(dataDir: string, files: FilePort): Promise<void> {
  await files.makeDirectory(dataDir, FOLDER_MODE);
  await checkSecretFolder(dataDir, files);
  await ensureFormat(dataDir, files);
}

/** Throws AppError `file_exists` when a data directory has a CA. */
export async function assertNoCa(dataDir: string, files: FilePort): Promise<void> {
  await assertKnownFormat(dataDir, files);
  const { certificate } = authorityPaths(dataDir);
  if (await files.lstat(certificate) === undefined) return;
  throw new AppError("file_exists", `cannot create a CA: "${certificate}" exists`, {
    hint:
      "an existing CA is never overwritten: choose another folder with the setting dataDir, or move the old one away",
  });
}

async function assertNoneBegun(dataDir: string, files: FilePort): Promise<void> {
  const [begun] = await findExistingPurposes(dataDir, files);
  if (begun === undefined) return;
  const { certificate } = authorityPaths(dataDir, begun);
  throw new AppError("file_exists", `cannot create a CA for everything: "${certificate}" exists`, {
    hint: "complete the interrupted command with: tlsboot ca init --split",
  });
}

async function findExistingPurposes(dataDir: string, files: FilePort): Promise<readonly CaPurpose[]> {
  const found: CaPurpose[] = [];
  for (const purpose of SPLIT_PURPOSES) {
    if (await files.lstat(authorityPaths(dataDir, purpose).certificate) !== undefined) found.push(purpose);
  }
  return found;
}

function createCaError(path: string, error: string): AppError {
  return new AppError("ca_invalid", `cannot use the CA "${path}": ${error}`, {
    hint: "restore a certificate and a key that belong together",
  });
}

async function findKey(path: string, { files, keys }: AuthorityDeps): Promise<PrivateKey | undefined> {
  if (await files.lstat(path) === undefined) return undefined;
  await checkPrivateFile(path, files);
  const key = await keys.openKey(await readRequired(path, files), path);
  if (key.ok) return key.value;
  throw new AppError("file_exists", `cannot create a CA: "${path}" exists and is not a key: ${key.error}`, {
    hint: "an existing key is never overwritten: choose another folder with the setting dataDir, or move the file away",
  });
}

async function createKey(
  path: string,
  { keyAlgorithm, isEncrypted = false }: Pick<NewAuthority, "keyAlgorithm" | "isEncrypted">,
  deps: AuthorityDeps,
): Promise<PrivateKey> {
  const { random, keys } = deps;
  const passphrase = isEncrypted || keys.passphrases.isGiven ? await keys.passphrases.getForCreating(path) : undefined;
  const key = await generatePrivateKey(keyAlgorithm);
  const pem = passphrase === undefined ? key.toPem() : await keys.encryptKey(key, passphrase, random);
  await deps.files.createExclusive(path, pem, SECRET_MODE);
  return key;
}

async function readRequired(path: string, files: Pick<FilePort, "readText">, hint = MAKE_CA): Promise<string> {
  const text = await files.readText(path);
  if (text === undefined) throw createMissingFileError(path, hint);
  return text;
}

function createMissingFileError(path: string, hint = MAKE_CA): AppError {
  return new AppError("not_found", `cannot read "${path}": file does not exist`, { hint });
}
