/** Creates a CA on disk, or one for each purpose. */
import { resolve } from "node:path";
import { checkRuntimeHas } from "../../../core/pki/keys/keys.ts";
import { permitNames } from "../../../core/pki/x509/name_constraints.ts";
import { createSingleAuthority, createSplitAuthorities, type NewAuthority } from "../../../instance/authority/files.ts";
import type { CaKeys } from "../../../instance/authority/keys.ts";
import { authorityPaths, CA_PURPOSES, SPLIT_PURPOSES } from "../../../instance/authority/layout.ts";
import type { caInitCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { startProgress } from "../../output/progress.ts";
import { createCaKeys } from "../../passphrases/ca_keys.ts";
import { DEFAULT_SHARES, getSharePaths, prepareShares } from "./share_pages.ts";

type CaInitSettings = Input<typeof caInitCommand.flags>["settings"];

export async function run({ settings }: Input<typeof caInitCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { dataDir, split, encryptKey, shares = DEFAULT_SHARES, sharesOut } = settings;
  const options = newAuthority(settings);
  const keys = await createNewKeys(settings, tools);
  const deps = { ...tools, keys };
  const folder = resolve(tools.cwd, dataDir);
  {
    // No spinner while the user types a passphrase; that of its derivation follows.
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

/** Creates the access to the keys, which are encrypted under shares when `--shares-out` is given. */
async function createNewKeys(settings: CaInitSettings, tools: Tools): Promise<CaKeys> {
  const { files } = tools;
  const { shares = DEFAULT_SHARES, sharesOut, dataDir } = settings;
  const keys = createCaKeys(settings, tools);
  if (sharesOut === undefined) return keys;
  const folder = resolve(tools.cwd, dataDir);
  const { certificate, key } = authorityPaths(folder);
  // A CA that exists is refused later, with its own words, before any share is written for it.
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
  checkRuntimeHas(keyAlgorithm);
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  const nameConstraints = permitNames(permitDns, permitIp);
  return { commonName, keyAlgorithm, lifetimeMs: duration, isEncrypted: settings.encryptKey, nameConstraints };
}
