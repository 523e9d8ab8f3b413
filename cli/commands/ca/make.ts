/**
 * Makes CAs: creates one on disk or one for each purpose, imports one from files, and requests or signs the certificate
 * of an intermediate CA.
 */
import { dirname, resolve } from "node:path";
import { assertSupported } from "../../../core/pki/keys/keys.ts";
import { permitNames } from "../../../core/pki/x509/name_constraints.ts";
import {
  assertNoCa,
  createSingleAuthority,
  createSplitAuthorities,
  ensureKey,
  hasSplitAuthorities,
  type NewAuthority,
  prepareFolder,
  readAuthority,
  readNamedAuthority,
  writeImportedAuthority,
} from "../../../instance/authority/files.ts";
import type { CaKeys } from "../../../instance/authority/keys.ts";
import { authorityPaths, CA_PURPOSES, SPLIT_PURPOSES } from "../../../instance/authority/layout.ts";
import type { caImportCommand, caInitCommand, caRequestCommand, caSignCommand } from "./flags.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { line, oneLine } from "../../../core/lib/printable.ts";
import { startProgress } from "../../output/progress.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { detectKeyEncryption } from "../../../core/pki/keys/encrypted_key.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { readImportedAuthority } from "../../../instance/authority/imported.ts";
import { formatFingerprint } from "../../../core/report/words.ts";
import { type CertificateChain, encodeTrust } from "../../../core/pki/x509/ca_bundle.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { dataDirAt } from "../../../instance/data_dir.ts";
import { Buffer } from "node:buffer";
import { type FilePort, PUBLIC_MODE } from "../../../client/files.ts";
import { type ParsedRequest, parseVerifiedRequest } from "../../../core/request/parse_request.ts";
import { AppError } from "../../../core/errors.ts";
import { type Authority, issueIntermediate } from "../../../core/pki/authority/authority.ts";
import { SERIAL_BYTES } from "../../../core/pki/authority/issue.ts";
import { BACKDATE_MS } from "../../../core/signing/profile.ts";
import { openIssuedLog } from "../../../instance/authority/issued_log.ts";
import { warn } from "../../framework/report.ts";
import { DEFAULT_SHARES, getSharePaths, prepareShares } from "./shares.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";
import { describeNameConstraints } from "../../output/pki_facts.ts";

type CaInitSettings = Input<typeof caInitCommand.flags>["settings"];

export async function runInit({ settings }: Input<typeof caInitCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { dataDir, split, encryptKey, shares = DEFAULT_SHARES, sharesOut } = settings;
  const options = newAuthority(settings);
  const keys = await createNewKeys(settings, tools);
  const deps = { ...tools, keys };
  const folder = resolve(tools.cwd, dataDir);
  {
    // No spinner while the user types a passphrase. The derivation of the key has its own.
    using _ = encryptKey || keys.passphrases.isGiven
      ? undefined
      : startProgress(tools, split ? "Making the keys" : "Making the key");
    if (split) await createSplitAuthorities(folder, options, deps);
    else await createSingleAuthority(folder, options, deps);
  }
  for (const purpose of split ? CA_PURPOSES : ["serving"] as const) {
    const { certificate, key } = authorityPaths(dataDir, purpose);
    tools.stdout.write(line`certificate: ${certificate}\n`);
    if (!keys.hasProgram) tools.stdout.write(line`key: ${key}\n`);
  }
  if (sharesOut !== undefined) {
    for (const path of getSharePaths(sharesOut, shares.count)) tools.stdout.write(line`share: ${path}\n`);
  }
  return EXIT.done;
}

/** Creates the access to the new keys. With `--shares-out`, it encrypts them with a passphrase that is split into shares. */
async function createNewKeys(settings: CaInitSettings, tools: Tools): Promise<CaKeys> {
  const { files } = tools;
  const { shares = DEFAULT_SHARES, sharesOut, dataDir } = settings;
  const keys = createCaKeys(settings, tools);
  if (sharesOut === undefined) return keys;
  const folder = resolve(tools.cwd, dataDir);
  const { certificate, key } = authorityPaths(folder);
  // No share may be written for an existing CA, which the creation refuses.
  if (await files.lstat(certificate) !== undefined) return keys;
  const first = settings.split ? authorityPaths(folder, SPLIT_PURPOSES[0]).key : key;
  const paths = await prepareShares(
    { folder: resolve(tools.cwd, sharesOut), keyPath: first, keyName: `the CA "${settings.commonName}"`, ...shares },
    tools,
  );
  return createCaKeys({ ...settings, caPassphraseFile: paths }, tools);
}

function newAuthority(settings: CaInitSettings): NewAuthority {
  const { commonName, keyAlgorithm, duration, permitDns, permitIp } = settings;
  assertSupported(keyAlgorithm);
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  const nameConstraints = permitNames(permitDns, permitIp);
  return { commonName, keyAlgorithm, lifetimeMs: duration, isEncrypted: settings.encryptKey, nameConstraints };
}

export async function runImport({ settings }: Input<typeof caImportCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const { dataDir, caCert = "", caKey, encryptKey } = settings;
  const keys = createCaKeys(settings, tools);
  const folder = resolve(tools.cwd, dataDir);
  const paths = authorityPaths(dataDir);
  const key = keys.hasProgram ? undefined : resolve(tools.cwd, caKey ?? paths.key);
  const source = { certificate: resolve(tools.cwd, caCert), key };
  const imported = await readImportedAuthority(source, tools.clock.now(), { files, keys });
  const { authority } = imported;
  const isEncrypted = encryptKey || keys.passphrases.isGiven;
  const keyPem = imported.key === undefined || !isEncrypted || detectKeyEncryption(imported.key.pem) !== "none"
    ? imported.key?.pem
    : await keys.encryptKey(imported.key.opened, await keys.passphrases.getForCreating(paths.key), tools.random);
  await writeImportedAuthority(folder, { chain: authority, keyPem, sourceKeyPem: imported.key?.pem }, files);
  const lines = [
    `certificate: ${paths.certificate}`,
    ...(keyPem === undefined ? [] : [`key: ${paths.key}`]),
    ...describeChain(authority),
  ];
  tools.stdout.write(`${lines.map(oneLine).join("\n")}\n`);
  return EXIT.done;
}

/** Describes a CA and its issuers, one fact a line. */
function describeChain({ certificate, issuers }: CertificateChain): readonly string[] {
  return [
    `subject: ${formatName(certificate.subject)}`,
    ...(issuers.length === 0
      ? []
      : [`issued by: ${issuers.map(({ subject }) => formatName(subject)).join(", issued by ")}`]),
    ...[certificate, ...issuers].flatMap((ca) =>
      ca.nameConstraints === undefined ? [] : [
        `${ca === certificate ? "may" : `"${formatName(ca.subject)}" may`} issue for: ${
          describeNameConstraints(ca.nameConstraints)
        }`,
      ]
    ),
    `valid until: ${formatTime(certificate.notAfter)}`,
    `SHA-256: ${formatFingerprint(certificate.sha256Fingerprint)}`,
  ];
}

export async function runRequest({ settings }: Input<typeof caRequestCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const { dataDir, commonName, keyAlgorithm, out = "" } = settings;
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  const keys = createCaKeys(settings, tools);
  const folder = resolve(tools.cwd, dataDir);
  const { key: path } = authorityPaths(folder);
  await assertNoCa(folder, files);
  await prepareFolder(folder, files);
  const key = await (async () => {
    using _ = keys.passphrases.isGiven ? undefined : startProgress(tools, "Making the key");
    return await ensureKey(path, { keyAlgorithm }, { ...tools, keys });
  })();
  const request = createCertificationRequest({ subject: { commonName } }, key);
  await files.createExclusive(resolve(tools.cwd, out), encodePem("CERTIFICATE REQUEST", request), PUBLIC_MODE);
  tools.stdout.write(line`key: ${authorityPaths(dataDir).key}\n`);
  tools.stdout.write(line`request: ${out}\n`);
  return EXIT.done;
}

const MAKE_REQUEST = "the machine of the intermediate CA makes one with: tlsboot ca request --out FILE";

export async function runSign(
  { args: [file = ""], settings }: Input<typeof caSignCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { files } = tools;
  const { duration, permitDns, permitIp, out = "" } = settings;
  const keys = createCaKeys(settings, tools);
  const request = await readRequest(file, files, tools.cwd);
  const commonName = settings.commonName ?? request.subject.commonName;
  if (commonName === "") throw new UsageError("the intermediate CA needs a name", "give one with --common-name");
  const path = resolve(tools.cwd, out);
  if (await files.lstat(path) !== undefined) {
    throw new AppError("file_exists", `cannot write "${out}": file exists`, { hint: "choose another file with --out" });
  }
  if (await files.stat(dirname(path)) === undefined) {
    throw new AppError("io", `cannot write "${out}": the folder does not exist`, { hint: "create the folder first" });
  }
  const authority = await readSigner(settings, tools, keys);
  const now = tools.clock.now().getTime();
  const signed = await issueIntermediate({
    commonName,
    publicKeyDer: request.publicKeyDer,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + duration),
    nameConstraints: permitNames(permitDns, permitIp),
    serial: tools.random.bytes(SERIAL_BYTES),
  }, authority);
  if (!signed.ok) {
    throw new AppError("invalid", `cannot sign the request "${file}": ${signed.error}`, {
      hint: "give another --common-name, --duration, --permit-dns or --permit-ip, or sign with another CA",
    });
  }
  if (isInDataDir(settings, tools.cwd)) {
    const { issuedLog } = dataDirAt(resolve(tools.cwd, settings.dataDir));
    using log = openIssuedLog(issuedLog, { clock: tools.clock, warn: (message) => warn(message, tools) });
    await log.record(signed.value.certificate.der, authority, { source: "sign" });
  }
  await files.createExclusive(path, encodeTrust(signed.value), PUBLIC_MODE);
  tools.stdout.write(`${[`certificate: ${out}`, ...describeChain(signed.value)].map(oneLine).join("\n")}\n`);
  return EXIT.done;
}

/** Reports whether the signing CA is in the data directory, which has a register. */
function isInDataDir({ caCert, dataDir }: Input<typeof caSignCommand.flags>["settings"], cwd: string): boolean {
  if (caCert === undefined) return true;
  const folder = resolve(cwd, dataDir);
  return CA_PURPOSES.some((purpose) => authorityPaths(folder, purpose).certificate === resolve(cwd, caCert));
}

/** Reads the request of an intermediate CA, and checks that its own key signed it and is strong enough. */
async function readRequest(file: string, files: FilePort, cwd: string): Promise<ParsedRequest> {
  const text = await files.readText(resolve(cwd, file));
  if (text === undefined) {
    throw new AppError("not_found", `cannot read the request "${file}": file does not exist`, {
      hint: `check its path; ${MAKE_REQUEST}`,
    });
  }
  const request = parseVerifiedRequest(Buffer.from(text).toString("base64"), { allowMlDsa: true });
  const fault = request.ok ? request.value.publicKey.weakness : request.error;
  if (request.ok && fault === undefined) return request.value;
  throw new AppError("invalid", `cannot use the request "${file}": ${fault}`, {
    hint: MAKE_REQUEST,
  });
}

/** Reads the CA that signs, with its key. */
async function readSigner(
  { caCert, caKey, dataDir }: Input<typeof caSignCommand.flags>["settings"],
  tools: Tools,
  keys: CaKeys,
): Promise<Authority> {
  const { files } = tools;
  if (caCert !== undefined) return await readNamedAuthority(resolve(tools.cwd, caCert), caKey, files, keys);
  const folder = resolve(tools.cwd, dataDir);
  if (await hasSplitAuthorities(folder, files)) {
    throw new UsageError(
      `"${dataDir}" has a CA for each purpose`,
      "name the one that signs with --ca-cert and --ca-key, the paths of its files below pki/",
    );
  }
  return await readAuthority(authorityPaths(folder), files, keys);
}
