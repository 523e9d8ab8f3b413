/** Creates a CA on disk, or one for each purpose, or imports an existing CA. */
import { resolve } from "node:path";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import { checkRuntimeHas } from "../../../core/pki/keys.ts";
import { type NameConstraints, NO_SUBTREES } from "../../../core/pki/name_constraints.ts";
import { detectKeyEncryption } from "../../../core/pki/encrypted_key.ts";
import { formatName } from "../../../core/pki/names.ts";
import {
  type AuthorityDeps,
  createSingleAuthority,
  createSplitAuthorities,
  type NewAuthority,
  writeImportedAuthority,
} from "../../authority/files.ts";
import { type ImportedAuthority, readImportedAuthority } from "./import.ts";
import { type CaKeys, createCaKeys } from "../../authority/keys.ts";
import { getSharePaths, prepareShares } from "../../authority/share_pages.ts";
import { readShareCounts } from "./shares.ts";
import { authorityPaths, SPLIT_PURPOSES } from "../../authority/layout.ts";
import { type CaInitFlags, NEW_CA_SETTINGS } from "./flags.ts";
import { checkGivenKey, checkKeyAlgorithm } from "../../flags/feature_gates.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { flagName } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { line, oneLine } from "../../output/escape.ts";
import { startProgress } from "../../output/progress.ts";
import { describeNameConstraints } from "../../output/certificate_text.ts";

type CaInitInput = Input<CaInitFlags>;

/** The minimum lifetime of a CA, one day. A shorter one is probably a mistake. */
const MIN_LIFETIME_MS = 24 * 3_600_000;

/** The action of the command `tlsboot ca init`. */
export async function run(input: CaInitInput, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const files = createFilePort();
  const keys = await createNewKeys(input.settings, io, files, signal);
  const deps = { files, clock: io.clock, random: io.random, keys };
  const { importCert, importKey, encryptKey } = input.settings;
  if (encryptKey && keys.hasProgram) {
    throw new UsageError(
      "--encrypt-key is for a key file, and --signing-key-command needs none",
      "leave one of them out",
    );
  }
  if (importCert === undefined && importKey === undefined) await make(input, deps, io);
  else await takeOver(input, deps, io);
  return EXIT.done;
}

/** Creates the access to the keys, which are encrypted under shares when `--shares-out` is given. */
async function createNewKeys(
  settings: CaInitInput["settings"],
  io: Io,
  files: FilePort,
  signal: AbortSignal,
): Promise<CaKeys> {
  const { shares, threshold, sharesOut, dataDir, importCert } = settings;
  const keys = createCaKeys(settings, io, files, signal);
  if (importCert !== undefined || (shares === undefined && threshold === undefined && sharesOut === undefined)) {
    return keys;
  }
  const counts = readShareCounts(settings);
  if (sharesOut === undefined) {
    throw new UsageError("--shares needs a folder for their pages", "give one with --shares-out");
  }
  if (settings.encryptKey || keys.passphrases.isGiven || keys.hasProgram) {
    throw new UsageError(
      "--shares makes a random passphrase for a key file",
      "leave out --encrypt-key, --ca-passphrase-file, --ca-passphrase-share and --signing-key-command; tlsboot ca shares " +
        "create splits a passphrase that exists",
    );
  }
  const folder = resolve(io.cwd, dataDir);
  const { certificate, key } = authorityPaths(folder);
  // A CA that exists is refused later, with its own words, before any share is written for it.
  if (await files.lstat(certificate) !== undefined) return keys;
  newAuthority(settings);
  const first = settings.split ? authorityPaths(folder, SPLIT_PURPOSES[0]).key : key;
  const paths = await prepareShares(
    { folder: resolve(io.cwd, sharesOut), keyPath: first, keyName: `the CA "${settings.commonName}"`, ...counts },
    { files, random: io.random, io },
  );
  return createCaKeys({ ...settings, caPassphraseShare: paths }, io, files, signal);
}

async function make({ settings }: CaInitInput, deps: AuthorityDeps, io: Io): Promise<void> {
  const { dataDir, split } = settings;
  const options = newAuthority(settings);
  const folder = resolve(io.cwd, dataDir);
  {
    // No spinner while the user types a passphrase; that of its derivation follows.
    using _ = settings.encryptKey || deps.keys.passphrases.isGiven
      ? undefined
      : startProgress(io, split ? "Making the keys" : "Making the key");
    if (split) await createSplitAuthorities(folder, options, deps);
    else await createSingleAuthority(folder, options, deps);
  }
  for (const purpose of split ? ["serving", ...SPLIT_PURPOSES] as const : ["serving"] as const) {
    const { certificate, key } = authorityPaths(dataDir, purpose);
    io.stdout.write(line`certificate: ${certificate}\n`);
    if (!deps.keys.hasProgram) io.stdout.write(line`key: ${key}\n`);
  }
  if (settings.sharesOut !== undefined && settings.shares !== undefined) {
    for (const path of getSharePaths(settings.sharesOut, settings.shares)) io.stdout.write(line`share: ${path}\n`);
  }
}

function newAuthority(settings: CaInitInput["settings"]): NewAuthority {
  const { commonName, keyAlgorithm, duration, permitDns, permitIp } = settings;
  if (duration < MIN_LIFETIME_MS) throw new UsageError("--duration of a CA must be at least 24h");
  checkKeyAlgorithm(keyAlgorithm, settings.featureGates, "key-algorithm");
  checkRuntimeHas(keyAlgorithm);
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  const plain = { commonName, keyAlgorithm, lifetimeMs: duration, isEncrypted: settings.encryptKey };
  if (permitDns.length + permitIp.length === 0) return plain;
  const permitted = { ...NO_SUBTREES, dnsNames: permitDns, ipRanges: permitIp };
  const nameConstraints: NameConstraints = { permitted, excluded: NO_SUBTREES };
  return { ...plain, nameConstraints };
}

async function takeOver({ settings, origins }: CaInitInput, deps: AuthorityDeps, io: Io): Promise<void> {
  const { importCert, importKey, dataDir } = settings;
  if (importCert === undefined || (importKey === undefined && !deps.keys.hasProgram)) {
    throw new UsageError("--import-cert and --import-key go together", "give both, or neither");
  }
  if (importKey !== undefined && deps.keys.hasProgram) {
    throw new UsageError("--import-key and --signing-key-command both name the key", "give one of them");
  }
  const foreign = NEW_CA_SETTINGS.find((key) => origins[key] !== "default");
  if (foreign !== undefined) {
    throw new UsageError(
      `--${flagName(foreign)} is for a new CA, --import-cert takes one as it is`,
      "leave one of them out",
    );
  }
  const keyPath = importKey === undefined ? undefined : resolve(io.cwd, importKey);
  const paths = { certificate: resolve(io.cwd, importCert), key: keyPath };
  const imported = await readImportedAuthority(paths, io.clock.now(), deps);
  const { authority } = imported;
  checkGivenKey(authority.certificate.keyAlgorithm, settings.featureGates, "import-cert");
  const keyPem = await keyToWrite(imported, settings.encryptKey, deps);
  await writeImportedAuthority(resolve(io.cwd, dataDir), { chain: authority, keyPem }, deps);
  const { certificate, key } = authorityPaths(dataDir);
  const issuers = authority.issuers.map((issuer) => formatName(issuer.subject));
  const lines = [
    `certificate: ${certificate}`,
    ...(keyPem === undefined ? [] : [`key: ${key}`]),
    `subject: ${formatName(authority.certificate.subject)}`,
    ...(issuers.length === 0 ? [] : [`issued by: ${issuers.join(", issued by ")}`]),
    ...[authority.certificate, ...authority.issuers].flatMap((one) =>
      one.nameConstraints === undefined ? [] : [
        `${one === authority.certificate ? "may" : `"${formatName(one.subject)}" may`} issue for: ${
          describeNameConstraints(one.nameConstraints)
        }`,
      ]
    ),
  ];
  io.stdout.write(`${lines.map(oneLine).join("\n")}\n`);
}

/** Returns the key unchanged, or encrypted with a passphrase; undefined when a program has it. */
async function keyToWrite(
  { key }: ImportedAuthority,
  encryptKey: boolean,
  { keys, random }: AuthorityDeps,
): Promise<string | undefined> {
  if (key === undefined) return undefined;
  const isPlain = detectKeyEncryption(key.pem) === "none";
  if (!isPlain || !(encryptKey || keys.passphrases.isGiven)) return key.pem;
  return await keys.encryptKey(key.opened, await keys.passphrases.getForCreating("--import-key"), random);
}
