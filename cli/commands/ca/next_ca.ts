/** Makes or takes the new CA of a rotation, checks it, and starts the rotation at the API. */
import { join, resolve } from "node:path";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import type { ApiClient } from "../../../client/objects/api.ts";
import { checkPrivateFile } from "../../../client/private_file.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { caRotationKind } from "../../../core/kube/kinds/mod.ts";
import { getName } from "../../../core/kube/meta.ts";
import { formatApiVersion } from "../../../core/kube/schema.ts";
import type { CaRotation, CaRotationSpec } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type Authority, createAuthority } from "../../../core/pki/authority.ts";
import { type CertificateChain, encodeTrust, parseAuthorityChain } from "../../../core/pki/authority_chain.ts";
import { crossSign } from "../../../core/pki/cross_sign.ts";
import { detectKeyEncryption } from "../../../core/pki/encrypted_key.ts";
import { SERIAL_BYTES } from "../../../core/pki/issue.ts";
import { checkRuntimeHas, generatePrivateKey, type PrivateKey } from "../../../core/pki/keys.ts";
import { NO_SUBTREES } from "../../../core/pki/name_constraints.ts";
import { encodePem } from "../../../core/pki/pem.ts";
import { isInProgress } from "../../../core/rotation/ca_rotation.ts";
import { decideBegin, ExcludedCertificates, findBeginFault, inheritProperties } from "../../../core/rotation/new_ca.ts";
import { createWrappedKeySecret, wrapKey, WRAPPED_KEY_NAMESPACE } from "../../../core/rotation/wrapped_key.ts";
import { BACKDATE_MS } from "../../../core/signing/plan.ts";
import {
  CA_ROTATION_COLLECTION,
  caRotationPath,
  deleteIfPresent,
  findRotation,
  listRotations,
  TRUST_REPORT_COLLECTION,
  wrappedKeyPath,
} from "../../api/ca_rotations.ts";
import { listRecordPages } from "../../api/records.ts";
import { hasSplitAuthorities, readAuthority, readChain } from "../../authority/files.ts";
import { type CaKeys, createCaKeys } from "../../authority/keys.ts";
import {
  type AuthorityPaths,
  authorityPaths,
  type CaPurpose,
  getCaName,
  SPLIT_PURPOSES,
} from "../../authority/layout.ts";
import { checkGivenKey, checkKeyAlgorithm } from "../../flags/feature_gates.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { readImportedAuthority } from "./import.ts";
import type { NEXT_CA_FLAGS } from "./rotate_flags.ts";

/** The settings of a new CA, and of the data directory that has the old one. */
export type NextCaSettings = Settings<typeof NEXT_CA_FLAGS> & { readonly dataDir: string };

/** The CA of a data directory that is replaced. */
export interface ReplacedCa {
  /** The name of its file below `pki/`, without `.crt`. */
  readonly name: string;
  /** The absolute paths of its files. */
  readonly paths: AuthorityPaths;
}

/** The shortest lifetime of a CA, as in `ca init`. */
const MIN_LIFETIME_MS = 24 * 3_600_000;
/** A Secret that is older belongs to a command that was killed before it created the rotation, which takes no time. */
const ABANDONED_AFTER_MS = 5_000;
const POLL_MS = 250;
const FILE_FLAGS = { certificate: "--cert-file", key: "--key-file" };

/** Finds the CA that a name means in a data directory. UsageError for one that it does not have. */
export async function findReplacedCa(
  name: string,
  dataDir: string,
  io: Io,
  files: FilePort = createFilePort(),
): Promise<ReplacedCa> {
  const root = resolve(io.cwd, dataDir);
  const isSplit = await hasSplitAuthorities(root, files);
  const purposes: readonly CaPurpose[] = isSplit ? ["serving", ...SPLIT_PURPOSES] : ["serving"];
  const names = purposes.map(getCaName);
  const purpose = purposes[names.indexOf(name)];
  if (purpose !== undefined) return { name, paths: authorityPaths(root, purpose) };
  const why = isSplit
    ? `name one of ${names.join(", ")}`
    : "this data directory has one CA for everything, which is ca";
  throw new UsageError(`there is no CA "${name}" in "${dataDir}"`, why);
}

/** Checks the flags of a new CA against each other. Throws UsageError. */
export function checkNextCaFlags(settings: NextCaSettings): void {
  const { certFile, keyFile, signingKeyCommand, duration, commonName, keyAlgorithm, permitDns, permitIp } = settings;
  if (keyFile !== undefined && certFile === undefined) {
    throw new UsageError("--key-file needs --cert-file, the CA that the key belongs to");
  }
  if (keyFile !== undefined && signingKeyCommand !== undefined) {
    throw new UsageError("--key-file and --signing-key-command both name the key", "give one of them");
  }
  if (certFile !== undefined && keyFile === undefined && signingKeyCommand === undefined) {
    throw new UsageError("--cert-file needs --key-file", "give the key of the CA, or --signing-key-command");
  }
  const made = { commonName, duration, keyAlgorithm };
  const [foreign] = Object.entries(made).filter(([, value]) => value !== undefined);
  if (certFile !== undefined && (foreign !== undefined || permitDns.length + permitIp.length > 0)) {
    throw new UsageError("--cert-file takes a CA as it is", "leave out the flags that describe a new one");
  }
  if (duration !== undefined && duration < MIN_LIFETIME_MS) {
    throw new UsageError("--duration of a CA must be at least 24h");
  }
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  if (keyAlgorithm !== undefined) {
    checkKeyAlgorithm(keyAlgorithm, settings.featureGates, "key-algorithm");
    checkRuntimeHas(keyAlgorithm);
  }
}

/** The ports and the flags with which a rotation starts. */
export interface StartOptions {
  readonly ca: ReplacedCa;
  readonly settings: NextCaSettings;
  readonly api: ApiClient;
  readonly io: Io;
  /** The old key has leaked: nothing is cross-signed, and the first step is Switch. */
  readonly isLeaked: boolean;
}

/** A rotation that was started, or that was in progress already. */
export interface StartedRotation {
  readonly rotation: CaRotation;
  readonly isNew: boolean;
}

/**
 * Finds the rotation of a CA that is in progress, if the command may continue it; undefined when a new one may start.
 * AppError `already_exists` for another one.
 */
export async function findContinued(
  { ca, settings, api, io, isLeaked }: StartOptions,
  signal: AbortSignal,
): Promise<CaRotation | undefined> {
  const existing = await findRotation(api, ca.name, signal);
  const known = existing === undefined ? undefined : parseAuthorityChain(existing.spec.newCA);
  const { certFile, commonName } = settings;
  const given = certFile === undefined ? undefined : await createFilePort().readText(resolve(io.cwd, certFile));
  const chain = given === undefined ? undefined : parseAuthorityChain(given);
  const decision = decideBegin(existing, known?.ok === true ? known.value.certificate : undefined, {
    fingerprint: chain?.ok === true ? chain.value.certificate.sha256Fingerprint : undefined,
    commonName,
    isLeaked,
  });
  if (!decision.ok) {
    throw new AppError("already_exists", `cannot begin to replace the CA "${ca.name}": ${decision.error}`, {
      hint:
        `see it with: tlsboot ca rotate status ${ca.name}; go on with it, or end it with: tlsboot ca rotate abort ${ca.name}`,
    });
  }
  return decision.value === "continue" ? existing : undefined;
}

/**
 * Makes the new CA and starts the rotation. A finished rotation of the same CA is replaced. Throws AppError `ca_invalid`
 * for a CA that cannot replace the old one, and those of `readAuthority`.
 */
export async function startCaRotation(options: StartOptions, signal: AbortSignal): Promise<CaRotation> {
  const { ca, settings, api, io, isLeaked } = options;
  const files = createFilePort();
  const keys = createCaKeys(settings, io, files, signal);
  // A key that has leaked may also be lost, and is not needed.
  const oldCa = isLeaked ? await readChain(ca.paths, files) : await readAuthority(ca.paths, files, keys);
  const next = await createNextCa(options, oldCa, files, keys);
  const fault = findBeginFault(next.chain, oldCa, { isLeaked });
  if (fault !== undefined) throw refused(ca, fault.message, fault.hint);
  await assertNamesPermitted(options, next.chain, oldCa, signal);
  const now = io.clock.now().getTime();
  let crossSigned: string | undefined;
  if (isAuthority(oldCa)) {
    const cross = await crossSign(next.chain.certificate, oldCa, {
      notBefore: new Date(now - BACKDATE_MS),
      serial: io.random.bytes(SERIAL_BYTES),
    });
    if (!cross.ok) throw refused(ca, cross.error, "the log of the command with --debug says more");
    crossSigned = encodePem("CERTIFICATE", cross.value.der);
  }
  const spec: CaRotationSpec = {
    step: isLeaked ? "Switch" : "Trust",
    ...(isLeaked ? { isLeaked } : {}),
    oldCA: encodeTrust(oldCa),
    newCA: encodeTrust(next.chain),
    ...(crossSigned === undefined ? {} : { crossSignedCA: crossSigned }),
  };
  await clearEarlier(ca.name, api, signal);
  if (next.keyPem !== undefined) await createKeySecret(options, next.keyPem, files, signal);
  return await createRotation(ca.name, spec, api, signal);
}

function isAuthority(ca: CertificateChain): ca is Authority {
  return "key" in ca;
}

/** A new CA, and the text of its key file; undefined when a program has the key. */
export interface NextCa {
  readonly chain: CertificateChain;
  readonly keyPem: string | undefined;
}

/** Makes the new CA that the flags describe, like the old one where they do not, or takes the one that they name. */
export async function createNextCa(
  { ca, settings, io }: Pick<StartOptions, "ca" | "settings" | "io">,
  oldCa: CertificateChain,
  files: FilePort,
  keys: CaKeys,
): Promise<NextCa> {
  const { certFile, keyFile, permitDns, permitIp } = settings;
  if (certFile !== undefined) {
    const key = keyFile === undefined ? undefined : resolve(io.cwd, keyFile);
    const paths = { certificate: resolve(io.cwd, certFile), key };
    const given = await readImportedAuthority(paths, io.clock.now(), { files, keys }, FILE_FLAGS);
    checkGivenKey(given.authority.certificate.keyAlgorithm, settings.featureGates, "cert-file");
    const chain = { certificate: given.authority.certificate, issuers: given.authority.issuers };
    if (given.key === undefined) return { chain, keyPem: undefined };
    const isPlain = detectKeyEncryption(given.key.pem) === "none";
    return { chain, keyPem: isPlain ? await encodeKey(given.key.opened, ca, { files, keys, io }) : given.key.pem };
  }
  const inherited = inheritProperties(oldCa);
  const { commonName = inherited.commonName, duration = inherited.lifetimeMs } = settings;
  const keyAlgorithm = settings.keyAlgorithm ?? inherited.keyAlgorithm;
  const nameConstraints = permitDns.length + permitIp.length === 0
    ? inherited.nameConstraints
    : { permitted: { ...NO_SUBTREES, dnsNames: permitDns, ipRanges: permitIp }, excluded: NO_SUBTREES };
  const key = keys.hasProgram ? await openProgramKey(ca, keys) : await generatePrivateKey(keyAlgorithm);
  const now = io.clock.now().getTime();
  const authority = await createAuthority({
    commonName,
    organizations: inherited.organizations,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + duration),
    ...(nameConstraints === undefined ? {} : { nameConstraints }),
    key,
    serial: io.random.bytes(SERIAL_BYTES),
  });
  const chain = { certificate: authority.certificate, issuers: authority.issuers };
  return { chain, keyPem: "toPem" in key ? await encodeKey(key, ca, { files, keys, io }) : undefined };
}

/** Opens the key that the program has for the file in which a server keeps the new CA until the switch. */
async function openProgramKey({ name, paths }: ReplacedCa, keys: CaKeys) {
  const next = join(paths.certificate, "..", `next-${name}.crt`);
  const source = keys.getNamedSource(next, undefined);
  const key = await source.open(await source.state());
  if (key.ok) return key.value;
  throw new AppError("key_invalid", `cannot make a new CA: ${key.error}`, {
    hint: "docs/guides/ca.md describes what the program must answer",
  });
}

/** Encodes the new key, under the passphrase of the old key where that has one. */
async function encodeKey(
  key: PrivateKey,
  { paths }: ReplacedCa,
  { files, keys, io }: { readonly files: FilePort; readonly keys: CaKeys; readonly io: Io },
): Promise<string> {
  const old = await files.readText(paths.key);
  const isEncrypted = old !== undefined && detectKeyEncryption(old) !== "none";
  if (!isEncrypted) return key.toPem();
  return await keys.encryptKey(key, await keys.passphrases.getForOpening(paths.key), io.random);
}

async function assertNamesPermitted(
  { ca, api, io }: StartOptions,
  newCa: CertificateChain,
  oldCa: CertificateChain,
  signal: AbortSignal,
): Promise<void> {
  const excluded = new ExcludedCertificates(newCa, oldCa, io.clock.now());
  if (!excluded.isPossible) return;
  for await (const { records } of listRecordPages(api, {}, signal)) for (const record of records) excluded.add(record);
  const found = excluded.list();
  if (found.length === 0) return;
  const shown = found.slice(0, MAX_SHOWN).map(({ subject, fault }) => `\n${subject}: ${fault}`).join("");
  const rest = found.length > MAX_SHOWN ? `\nand ${found.length - MAX_SHOWN} more` : "";
  throw refused(
    ca,
    `its name constraints exclude names that are in use:${shown}${rest}`,
    // The certificate of the server itself is always needed.
    "permit these names with --permit-dns and --permit-ip" +
      (found.every(({ isServer }) => isServer) ? "" : ", or revoke the certificates that are no longer needed"),
  );
}

/** The number of excluded certificates that an error names. */
const MAX_SHOWN = 20;

function refused({ name }: ReplacedCa, message: string, hint: string): AppError {
  return new AppError("ca_invalid", `cannot replace the CA "${name}" by the new one: ${message}`, { hint });
}

/** Deletes the record of an earlier rotation, and the reports about earlier ones if no other rotation needs them. */
async function clearEarlier(name: string, api: ApiClient, signal: AbortSignal): Promise<void> {
  const rotations = await listRotations(api, signal);
  if (!rotations.some(isInProgress)) {
    await api.requestJson({ method: "DELETE", path: TRUST_REPORT_COLLECTION }, signal);
  }
  const earlier = rotations.find((one) => getName(one) === name);
  if (earlier === undefined) return;
  if (isInProgress(earlier)) throw createLateError(name);
  // Another command may have deleted it too, and have begun a rotation since.
  const { uid } = earlier.metadata;
  const body = uid === undefined ? {} : { preconditions: { uid } };
  try {
    await api.requestJson({ method: "DELETE", path: caRotationPath(name), body }, signal);
  } catch (error) {
    if (!isAppError(error, "not_found", "conflict")) throw error;
  }
}

/** Creates the Secret with the new key. It is also the lock of the command: two commands must not send two keys. */
async function createKeySecret(
  { ca, settings, api, io }: StartOptions,
  keyPem: string,
  files: FilePort,
  signal: AbortSignal,
): Promise<void> {
  const { serviceAccountSigningKeyFile, dataDir } = settings;
  const path = resolve(io.cwd, serviceAccountSigningKeyFile ?? join(dataDir, "pki", "sa.key"));
  const tokenKey = await files.readText(path);
  if (tokenKey === undefined) {
    throw new AppError("not_found", `cannot read "${path}": file does not exist`, {
      hint: "name the servers' key with --service-account-signing-key-file",
    });
  }
  await checkPrivateFile(path, files);
  const wrapped = wrapKey(keyPem, tokenKey, io.random);
  if (!wrapped.ok) throw new AppError("key_invalid", `cannot send the new key to the servers: ${wrapped.error}`);
  const body = { apiVersion: "v1", kind: "Secret", ...createWrappedKeySecret(ca.name, wrapped.value) };
  const collection = `/api/v1/namespaces/${WRAPPED_KEY_NAMESPACE}/secrets`;
  for (let isRepeated = false;; isRepeated = true) {
    try {
      await api.requestJson({ method: "POST", path: collection, body }, signal);
      return;
    } catch (error) {
      if (!isAppError(error, "already_exists") || isRepeated) throw error;
      await removeAbandoned(ca.name, api, io, signal);
    }
  }
}

/**
 * Deletes the Secret of a command that was killed, when it is old enough. AppError `already_exists` when that command is
 * not dead and has created its rotation.
 */
async function removeAbandoned(name: string, api: ApiClient, io: Io, signal: AbortSignal): Promise<void> {
  const { metadata } = await api.requestObject({ method: "GET", path: wrappedKeyPath(name) }, signal);
  const startedAt = io.clock.elapsedMs();
  // The clock of the server may differ, so the time of waiting counts, too.
  const age = () =>
    Math.max(
      io.clock.now().getTime() - Date.parse(metadata.creationTimestamp ?? ""),
      io.clock.elapsedMs() - startedAt,
    );
  while (true) {
    if (await findRotation(api, name, signal) !== undefined) throw createLateError(name);
    if (age() >= ABANDONED_AFTER_MS) break;
    await io.clock.sleep(POLL_MS, signal);
  }
  const body = metadata.uid === undefined ? {} : { preconditions: { uid: metadata.uid } };
  await api.requestJson({ method: "DELETE", path: wrappedKeyPath(name), body }, signal);
}

function createLateError(name: string): AppError {
  return new AppError("already_exists", `another command has begun to replace the CA "${name}" just now`, {
    hint: `see what it does with: tlsboot ca rotate status ${name}`,
  });
}

async function createRotation(
  name: string,
  spec: CaRotationSpec,
  api: ApiClient,
  signal: AbortSignal,
): Promise<CaRotation> {
  const body = {
    apiVersion: formatApiVersion(caRotationKind),
    kind: caRotationKind.kind,
    metadata: { name },
    spec,
  };
  try {
    return await api.requestObject<CaRotation>({ method: "POST", path: CA_ROTATION_COLLECTION, body }, signal);
  } catch (error) {
    if (!isAppError(error, "invalid", "access_denied", "not_found")) throw error;
    // The server has refused it, so the key is of no use, and would delay the next attempt.
    await deleteIfPresent(api, wrappedKeyPath(name), new AbortController().signal).catch(() => {});
    throw error;
  }
}
