/** Creates or reads the new CA of a rotation, checks it, and begins the rotation with it. */
import { join, resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { CaRotation, CaRotationSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type Authority, createAuthority } from "../../core/pki/authority/authority.ts";
import {
  crossSign,
  decideBegin,
  ExcludedCertificates,
  findBeginFault,
  inheritProperties,
} from "../../core/ca_rotation/new_ca.ts";
import { detectKeyEncryption } from "../../core/pki/keys/encrypted_key.ts";
import { SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { assertSupported, generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import type { ReplaceableCa } from "../../core/ca_rotation/steps.ts";
import { BACKDATE_MS } from "../../core/signing/profile.ts";
import { type AuthorityDeps, readAuthority, readChain } from "./files.ts";
import { openProgramKey } from "./keys.ts";
import { readImportedAuthority } from "./imported.ts";
import { type CertificateChain, encodeTrust, parseAuthorityChain } from "../../core/pki/x509/ca_bundle.ts";

/** The settings of a new CA. By default it is like the old one. */
interface NextCaSettings {
  /** The files of an existing CA and its key, instead of a new one. */
  readonly newCaCert?: string | undefined;
  readonly newCaKey?: string | undefined;
  /** The lifetime of the CA, in milliseconds. */
  readonly duration?: number | undefined;
  readonly keyAlgorithm?: KeyAlgorithm | undefined;
}

/** The CA to replace, and the settings and ports of the rotation. */
interface BeginOptions extends AuthorityDeps {
  readonly ca: ReplaceableCa;
  readonly settings: NextCaSettings;
  readonly cwd: string;
  /** Whether the old key has leaked. Then nothing is cross-signed, and the first step is Switch. */
  readonly isLeaked: boolean;
}

/** The number of excluded certificates that an error lists. */
const MAX_SHOWN = 20;
const FILE_HINTS = {
  certificate: "check the path of the setting newCaCert",
  key: "check the path of the setting newCaKey",
};

/**
 * Finds the rotation in progress if the command may continue it; undefined when a new one may begin. AppError
 * `already_exists` for any other rotation in progress, and `key_invalid` for an algorithm that this runtime lacks.
 */
export async function findContinued(
  { ca, settings: { newCaCert, keyAlgorithm }, files, cwd, isLeaked }: BeginOptions,
): Promise<CaRotation | undefined> {
  if (keyAlgorithm !== undefined) assertSupported(keyAlgorithm);
  await ca.assertPresent();
  const existing = await ca.read();
  const known = parseAuthorityChain(existing?.spec.newCA ?? "");
  const text = newCaCert === undefined ? undefined : await files.readText(resolve(cwd, newCaCert));
  const given = parseAuthorityChain(text ?? "");
  const fingerprint = given.ok ? given.value.certificate.sha256Fingerprint : undefined;
  const decision = decideBegin(existing, known.ok ? known.value.certificate : undefined, { fingerprint, isLeaked });
  if (decision.ok) return decision.value === "continue" ? existing : undefined;
  throw new AppError("already_exists", `cannot begin to replace the CA "${ca.name}": ${decision.error}`, {
    hint: `see it with: ${ca.command("status")}; continue it, or end it with: ${ca.command("abort")}`,
  });
}

/**
 * Creates or reads the new CA and begins the rotation, which replaces a finished one of the same CA. Throws AppError
 * `ca_invalid` for a CA that cannot replace the old one, and those of `readAuthority`.
 */
export async function beginRotation(options: BeginOptions): Promise<CaRotation> {
  const { ca, files, keys, isLeaked } = options;
  // A leaked key may also be lost, and is not needed.
  const signer = isLeaked ? undefined : await readAuthority(ca.paths, files, keys);
  const oldCa = signer ?? await readChain(ca.paths, files);
  const next = await createNextCa(options, oldCa);
  const fault = findBeginFault(next.chain, oldCa, { isLeaked });
  if (fault !== undefined) throw createRefusal(ca, fault.message, fault.hint);
  await assertNamesPermitted(options, next.chain, oldCa);
  const spec: CaRotationSpec = {
    step: isLeaked ? "Switch" : "Trust",
    ...(isLeaked ? { isLeaked } : {}),
    oldCA: encodeTrust(oldCa),
    newCA: encodeTrust(next.chain),
    ...(signer === undefined ? {} : { crossSignedCA: await crossSignNext(options, next.chain, signer) }),
  };
  return await ca.begin(spec, next.keyPem);
}

async function crossSignNext(
  { ca, clock, random }: BeginOptions,
  next: CertificateChain,
  oldCa: Authority,
): Promise<string> {
  const cross = await crossSign(next.certificate, oldCa, {
    notBefore: new Date(clock.now().getTime() - BACKDATE_MS),
    serial: random.bytes(SERIAL_BYTES),
  });
  // `findBeginFault` has already refused every CA that cannot be cross-signed.
  if (!cross.ok) throw new AppError("internal", `cannot cross-sign the new CA "${ca.name}": ${cross.error}`);
  return encodePem("CERTIFICATE", cross.value.der);
}

/** A new CA and the text of its key file, which is undefined if a program holds the key. */
interface NextCa {
  readonly chain: CertificateChain;
  readonly keyPem: string | undefined;
}

/** Creates a CA like the old one except where settings differ, or reads the CA that they name. */
async function createNextCa(options: BeginOptions, oldCa: CertificateChain): Promise<NextCa> {
  const { ca, settings, cwd, clock, random, keys } = options;
  const { newCaCert, newCaKey } = settings;
  const now = clock.now();
  if (newCaCert !== undefined) {
    const key = newCaKey === undefined ? undefined : resolve(cwd, newCaKey);
    const paths = { certificate: resolve(cwd, newCaCert), key };
    const given = await readImportedAuthority(paths, now, options, FILE_HINTS);
    if (given.key === undefined) return { chain: given.authority, keyPem: undefined };
    const isPlain = detectKeyEncryption(given.key.pem) === "none";
    const keyPem = isPlain ? await encodeKey(given.key.opened, ca, options) : given.key.pem;
    return { chain: given.authority, keyPem };
  }
  const inherited = inheritProperties(oldCa);
  const { duration = inherited.lifetimeMs, keyAlgorithm = inherited.keyAlgorithm } = settings;
  const { commonName, organizations, nameConstraints } = inherited;
  // The file of the new CA until the switch. The program chooses the key by this path.
  const next = join(ca.paths.certificate, "..", `next-${ca.name}.crt`);
  const key = keys.hasProgram ? await openProgramKey(next, keys) : await generatePrivateKey(keyAlgorithm);
  const chain = await createAuthority({
    commonName,
    organizations,
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + duration),
    nameConstraints,
    key,
    serial: random.bytes(SERIAL_BYTES),
  });
  return { chain, keyPem: "toPem" in key ? await encodeKey(key, ca, options) : undefined };
}

/** Encodes the new key, encrypted with the passphrase of the old key if that has one. */
async function encodeKey(
  key: PrivateKey,
  { paths }: ReplaceableCa,
  { files, keys, random }: AuthorityDeps,
): Promise<string> {
  const old = await files.readText(paths.key);
  if (old === undefined || detectKeyEncryption(old) === "none") return key.toPem();
  return await keys.encryptKey(key, await keys.passphrases.getForOpening(paths.key), random);
}

/** Refuses a new CA whose name constraints exclude a valid certificate of the old CA. */
async function assertNamesPermitted(
  { ca, clock }: BeginOptions,
  newCa: CertificateChain,
  oldCa: CertificateChain,
): Promise<void> {
  const excluded = new ExcludedCertificates(newCa, oldCa, clock.now());
  if (!excluded.isPossible) return;
  for await (const record of ca.records()) excluded.add(record);
  const certificates = excluded.list();
  if (certificates.length === 0) return;
  const shown = certificates.slice(0, MAX_SHOWN).map(({ subject, fault }) => `\n${subject}: ${fault}`).join("");
  const rest = certificates.length > MAX_SHOWN ? `\nand ${certificates.length - MAX_SHOWN} more` : "";
  // The server's own certificate is always needed.
  const isServerOnly = certificates.every(({ isServer }) => isServer);
  throw createRefusal(
    ca,
    `its name constraints exclude names that are in use:${shown}${rest}`,
    `give a CA that permits these names${isServerOnly ? "" : ", or revoke the certificates that are no longer needed"}`,
  );
}

function createRefusal({ name }: ReplaceableCa, message: string, hint: string): AppError {
  return new AppError("ca_invalid", `cannot replace the CA "${name}" with the new one: ${message}`, { hint });
}
