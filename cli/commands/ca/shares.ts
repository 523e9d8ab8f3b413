/** Makes, checks and combines shares of the passphrase of CA keys. */
import { resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { openPrivateKey } from "../../../controllers/signer/ca_provider.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { detectKeyEncryption } from "../../../core/pki/keys/encrypted_key.ts";
import { Secret } from "../../../core/lib/brand.ts";
import type { Result } from "../../../core/lib/result.ts";
import type { PrivateKey } from "../../../core/pki/keys/keys.ts";
import { DERIVING_KEY, startProgress } from "../../output/progress.ts";
import { authorityPaths, CA_PURPOSES } from "../../../instance/authority/layout.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Action } from "../../framework/command.ts";
import { SECRET_MODE } from "../../../instance/data_dir.ts";
import type { Tools } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../../core/lib/printable.ts";
import { checkPrivateFile } from "../../../client/private_file.ts";
import type { caSharesCheckCommand, caSharesCombineCommand, caSharesSplitCommand } from "./shares_flags.ts";
import { combineShares, describeShare, findShareFault, type NamedShare } from "../../passphrases/secret_shares.ts";
import { createCaKeys } from "../../passphrases/ca_keys.ts";
import { readPassphraseOfShares, readShareFile, readShares, TYPED_SHARES } from "../../passphrases/typed_shares.ts";
import { DEFAULT_SHARES, writeSharePages } from "./share_pages.ts";

export const splitSharesAction: Action<typeof caSharesSplitCommand.flags> = {
  async run({ settings }, tools) {
    const { files } = tools;
    const { shares: counts = DEFAULT_SHARES, out = "" } = settings;
    const keys = await findEncryptedKeys(settings, tools);
    const [first] = keys;
    if (first === undefined) {
      const where = settings.caKey ?? authorityPaths(settings.dataDir).key;
      throw new AppError("invalid", `cannot split a passphrase: the key "${where}" is not encrypted`, {
        hint:
          "encrypt it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW-KEY, and put it in place of the old one",
      });
    }
    const { passphrases, openKey } = createCaKeys(settings, tools);
    for (const key of keys) await checkOpening(key, () => openKey(key.pem, key.path), files);
    const passphrase = await passphrases.getForOpening(first.path);
    const to = { folder: resolve(tools.cwd, out), keyName: displayPath(first.path, tools.cwd), ...counts };
    const written = await writeSharePages(passphrase.reveal(), to, tools);
    for (const path of written) tools.stdout.write(line`${displayPath(path, tools.cwd)}\n`);
    tools.stderr.write(
      `${counts.threshold} of the ${counts.count} shares open the key. Print the pages, check them with tlsboot ca shares ` +
        "check, give them to their holders, and remove the files.\n",
    );
    return EXIT.done;
  },
};

export const checkSharesAction: Action<typeof caSharesCheckCommand.flags> = {
  async run({ args, settings }, tools) {
    const shares: NamedShare[] = [];
    let isRight = true;
    for (const file of args.filter((arg) => arg !== TYPED_SHARES)) {
      try {
        const share = await readShareFile(file, tools);
        tools.stdout.write(line`${file}: ${describeShare(share.share)}\n`);
        shares.push(share);
      } catch (error) {
        if (!isAppError(error, "share_invalid")) throw error;
        isRight = false;
        tools.stdout.write(line`${file}: ${error.message}\n`);
      }
    }
    if (args.length === 0 || args.includes(TYPED_SHARES)) {
      const typed = await readShares([TYPED_SHARES], tools);
      if (!tools.stdin.isTerminal) {
        for (const { share } of typed) tools.stdout.write(line`${describeShare(share)}\n`);
      }
      shares.push(...typed);
    }
    if (!isRight) return EXIT.no;
    const fault = findShareFault(shares);
    if (fault !== undefined) {
      tools.stdout.write(line`${fault.message}\n`);
      return fault.kind === "too few" && shares.length > 0 ? EXIT.done : EXIT.no;
    }
    return await checkKeys(shares, settings, tools);
  },
};

async function checkKeys(shares: readonly NamedShare[], settings: KeyPlace, tools: Tools): Promise<ExitCode> {
  const passphrase = await combineShares(shares);
  if (!passphrase.ok) {
    tools.stdout.write(line`${passphrase.error.message}\n`);
    return EXIT.no;
  }
  const keys = await findEncryptedKeys(settings, tools);
  if (keys.length === 0) {
    tools.stdout.write("the shares belong together; there is no encrypted key to open\n");
    return EXIT.done;
  }
  const secret = new Secret(passphrase.value);
  let isOpen = true;
  for (const key of keys) {
    try {
      using _ = startProgress(tools, DERIVING_KEY);
      await checkOpening(key, () => openPrivateKey(key.pem, key.path, () => Promise.resolve(secret)), tools.files);
      tools.stdout.write(line`the shares open ${displayPath(key.path, tools.cwd)}\n`);
    } catch (error) {
      if (!isAppError(error, "passphrase_wrong")) throw error;
      isOpen = false;
      tools.stdout.write(line`the shares do not open ${displayPath(key.path, tools.cwd)}\n`);
    }
  }
  return isOpen ? EXIT.done : EXIT.no;
}

export const combineSharesAction: Action<typeof caSharesCombineCommand.flags> = {
  async run({ args, settings: { out = "" } }, tools) {
    const passphrase = await readPassphraseOfShares(args.length === 0 ? [TYPED_SHARES] : args, tools);
    const text = `${passphrase.reveal()}\n`;
    if (out === "-") tools.stdout.write(text);
    else await tools.files.createExclusive(resolve(tools.cwd, out), text, SECRET_MODE);
    return EXIT.done;
  },
};

interface KeyPlace {
  readonly caKey: string | undefined;
  readonly dataDir: string;
}

interface EncryptedKey {
  readonly path: string;
  readonly pem: string;
}

/** Finds the encrypted keys that flags name, or those of the CAs in the data directory; a missing key file is an error. */
async function findEncryptedKeys({ caKey, dataDir }: KeyPlace, tools: Tools): Promise<readonly EncryptedKey[]> {
  const paths = caKey === undefined ? CA_PURPOSES.map((purpose) => authorityPaths(dataDir, purpose).key) : [caKey];
  const keys: EncryptedKey[] = [];
  for (const path of paths.map((one) => resolve(tools.cwd, one))) {
    const pem = await tools.files.readText(path);
    if (pem === undefined && caKey !== undefined) {
      throw new AppError("not_found", `cannot read key "${caKey}": file does not exist`, {
        hint: "check the path of --ca-key",
      });
    }
    if (pem !== undefined && detectKeyEncryption(pem) === "pkcs8") keys.push({ path, pem });
  }
  return keys;
}

/** Opens a key whose file must be private. Throws AppError for one that cannot be opened. */
async function checkOpening(
  { path }: EncryptedKey,
  open: () => Promise<Result<PrivateKey, string>>,
  files: FilePort,
): Promise<void> {
  await checkPrivateFile(path, files);
  const key = await open();
  if (!key.ok) throw new AppError("key_invalid", `cannot open the key "${path}": ${key.error}`);
}
