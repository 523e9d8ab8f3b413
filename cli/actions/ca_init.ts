/** Makes a CA on disk, one for each purpose, or takes one that exists. */
import { resolve } from "node:path";
import { createFilePort } from "../../client/files.ts";
import { type NameConstraints, NO_SUBTREES } from "../../core/pki/name_constraints.ts";
import { encryptionOf, encryptPrivateKey } from "../../core/pki/encrypted_key.ts";
import { formatName } from "../../core/pki/names.ts";
import { type AuthorityDeps, createOnly, createSplit, type NewAuthority, writeImported } from "../authority/files.ts";
import { readImported } from "../authority/import.ts";
import { createCaKeys } from "../authority/keys.ts";
import { authorityPaths, SPLIT_PURPOSES } from "../authority/layout.ts";
import { type CaInitFlags, NEW_CA_SETTINGS } from "../commands/ca/init.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import { flagName } from "../framework/flags.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";
import { startProgress } from "../output/progress.ts";
import { constraintsText } from "./constraints_text.ts";

type CaInitInput = Input<CaInitFlags>;

/** A day: a CA that ends sooner is a mistake. */
const MIN_LIFE_MS = 24 * 3_600_000;

/** Runs `tlsboot ca init`. */
export async function run(input: CaInitInput, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const files = createFilePort();
  const keys = createCaKeys(input.settings, io, files, signal);
  const deps = { files, clock: io.clock, random: io.random, keys };
  const { importCert, importKey } = input.settings;
  if (importCert === undefined && importKey === undefined) await make(input, deps, io);
  else await takeOver(input, deps, io);
  return EXIT.done;
}

async function make({ settings }: CaInitInput, deps: AuthorityDeps, io: Io): Promise<void> {
  const { dataDir, split } = settings;
  const options = newAuthority(settings);
  const folder = resolve(io.cwd, dataDir);
  {
    // Not while somebody types a passphrase.
    using _ = settings.encryptKey ? undefined : startProgress(io, split ? "Making the keys" : "Making the key");
    if (split) await createSplit(folder, options, deps);
    else await createOnly(folder, options, deps);
  }
  for (const purpose of split ? ["serving", ...SPLIT_PURPOSES] as const : ["serving"] as const) {
    const { certificate, key } = authorityPaths(dataDir, purpose);
    io.stdout.write(`certificate: ${certificate}\nkey: ${key}\n`);
  }
}

function newAuthority(settings: CaInitInput["settings"]): NewAuthority {
  const { commonName, keyAlgorithm, duration, permitDns, permitIp } = settings;
  if (duration < MIN_LIFE_MS) throw new UsageError("--duration of a CA must be at least 24h");
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  const plain = { commonName, keyAlgorithm, lifeMs: duration, isEncrypted: settings.encryptKey };
  if (permitDns.length + permitIp.length === 0) return plain;
  const permitted = { ...NO_SUBTREES, dnsNames: permitDns, ipRanges: permitIp };
  const nameConstraints: NameConstraints = { permitted, excluded: NO_SUBTREES };
  return { ...plain, nameConstraints };
}

async function takeOver({ settings, origins }: CaInitInput, deps: AuthorityDeps, io: Io): Promise<void> {
  const { importCert, importKey, dataDir } = settings;
  if (importCert === undefined || importKey === undefined) {
    throw new UsageError("--import-cert and --import-key go together", "give both, or neither");
  }
  const foreign = NEW_CA_SETTINGS.find((key) => origins[key] !== "default");
  if (foreign !== undefined) {
    throw new UsageError(
      `--${flagName(foreign)} is for a new CA, --import-cert takes one as it is`,
      "leave one of them out",
    );
  }
  const paths = { certificate: resolve(io.cwd, importCert), key: resolve(io.cwd, importKey) };
  const imported = await readImported(paths, io.clock.now(), deps);
  const { authority } = imported;
  const isToBeEncrypted = settings.encryptKey || deps.keys.passphrases.isGiven;
  const keyPem = isToBeEncrypted && encryptionOf(imported.keyPem) === "none"
    ? await encryptPrivateKey(imported.key, (await deps.keys.passphrases.toMake(importKey)).reveal(), deps.random)
    : imported.keyPem;
  await writeImported(resolve(io.cwd, dataDir), { chain: authority, keyPem }, deps);
  const { certificate, key } = authorityPaths(dataDir);
  const issuers = authority.issuers.map((issuer) => formatName(issuer.subject));
  const lines = [
    `certificate: ${certificate}`,
    `key: ${key}`,
    `subject: ${formatName(authority.certificate.subject)}`,
    ...(issuers.length === 0 ? [] : [`issued by: ${issuers.join(", issued by ")}`]),
    ...[authority.certificate, ...authority.issuers].flatMap((one) =>
      one.nameConstraints === undefined ? [] : [
        `${one === authority.certificate ? "may" : `"${formatName(one.subject)}" may`} issue for: ${
          constraintsText(one.nameConstraints)
        }`,
      ]
    ),
  ];
  io.stdout.write(`${lines.join("\n")}\n`);
}
