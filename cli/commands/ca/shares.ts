/** Makes, checks and combines shares of the passphrase of CA keys. */
import { resolve } from "node:path";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import { openPrivateKey } from "../../../controllers/ca_provider.ts";
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
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { checkPrivateFile } from "../../../client/private_file.ts";
import type { CaSharesCheckFlags, CaSharesCombineFlags, CaSharesSplitFlags } from "./shares_flags.ts";
import { combineShares, describeShare, findShareFault, type NamedShare } from "../../passphrases/secret_shares.ts";
import { createCaKeys } from "../../passphrases/ca_keys.ts";
import { readPassphraseOfShares, readShareFile, readShares, TYPED_SHARES } from "../../passphrases/typed_shares.ts";
import { DEFAULT_SHARES, writeSharePages } from "./share_pages.ts";

/** The action of `tlsboot ca shares split`. */
export const splitSharesAction: Action<CaSharesSplitFlags> = {
  async run({ settings }, io, signal) {
    const { shares: counts = DEFAULT_SHARES, out = "" } = settings;
    const files = createFilePort();
    const keys = await findEncryptedKeys(settings, io, files);
    const [first] = keys;
    if (first === undefined) {
      const where = settings.caKey ?? authorityPaths(settings.dataDir).key;
      throw new AppError("invalid", `cannot split a passphrase: the key "${where}" is not encrypted`, {
        hint:
          "encrypt it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW-KEY, and put it in place of the old one",
      });
    }
    const { passphrases, openKey } = createCaKeys(settings, io, files, signal);
    for (const key of keys) await checkOpening(key, () => openKey(key.pem, key.path), files);
    const passphrase = await passphrases.getForOpening(first.path);
    const to = { folder: resolve(io.cwd, out), keyName: displayPath(first.path, io.cwd), ...counts };
    const written = await writeSharePages(passphrase.reveal(), to, { files, random: io.random, io });
    for (const path of written) io.stdout.write(line`${displayPath(path, io.cwd)}\n`);
    io.stderr.write(
      `${counts.threshold} of the ${counts.count} shares open the key. Print the pages, check them with tlsboot ca shares ` +
        "check, give them to their holders, and remove the files.\n",
    );
    return EXIT.done;
  },
};

/** The action of `tlsboot ca shares check`. */
export const checkSharesAction: Action<CaSharesCheckFlags> = {
  async run({ args, settings }, io, signal) {
    const files = createFilePort();
    const shares: NamedShare[] = [];
    let isRight = true;
    for (const file of args.filter((arg) => arg !== TYPED_SHARES)) {
      try {
        const share = await readShareFile(file, { io, files });
        io.stdout.write(line`${file}: ${describeShare(share.share)}\n`);
        shares.push(share);
      } catch (error) {
        if (!isAppError(error, "share_invalid")) throw error;
        isRight = false;
        io.stdout.write(line`${file}: ${error.message}\n`);
      }
    }
    if (args.length === 0 || args.includes(TYPED_SHARES)) {
      const typed = await readShares([TYPED_SHARES], { io, files, signal });
      if (!io.stdin.isTerminal) { for (const { share } of typed) io.stdout.write(line`${describeShare(share)}\n`); }
      shares.push(...typed);
    }
    if (!isRight) return EXIT.no;
    const fault = findShareFault(shares);
    if (fault !== undefined) {
      io.stdout.write(line`${fault.message}\n`);
      return fault.kind === "too few" && shares.length > 0 ? EXIT.done : EXIT.no;
    }
    return await checkKeys(shares, settings, io, files);
  },
};

async function checkKeys(
  shares: readonly NamedShare[],
  settings: KeyPlace,
  io: Io,
  files: FilePort,
): Promise<ExitCode> {
  const passphrase = await combineShares(shares);
  if (!passphrase.ok) {
    io.stdout.write(line`${passphrase.error.message}\n`);
    return EXIT.no;
  }
  const keys = await findEncryptedKeys(settings, io, files);
  if (keys.length === 0) {
    io.stdout.write("the shares belong together; there is no encrypted key to open\n");
    return EXIT.done;
  }
  const secret = new Secret(passphrase.value);
  let isOpen = true;
  for (const key of keys) {
    try {
      using _ = startProgress(io, DERIVING_KEY);
      await checkOpening(key, () => openPrivateKey(key.pem, key.path, () => Promise.resolve(secret)), files);
      io.stdout.write(line`the shares open ${displayPath(key.path, io.cwd)}\n`);
    } catch (error) {
      if (!isAppError(error, "passphrase_wrong")) throw error;
      isOpen = false;
      io.stdout.write(line`the shares do not open ${displayPath(key.path, io.cwd)}\n`);
    }
  }
  return isOpen ? EXIT.done : EXIT.no;
}

/** The action of `tlsboot ca shares combine`. */
export const combineSharesAction: Action<CaSharesCombineFlags> = {
  async run({ args, settings: { out = "" } }, io, signal) {
    const files = createFilePort();
    const passphrase = await readPassphraseOfShares(args.length === 0 ? [TYPED_SHARES] : args, { io, files, signal });
    const text = `${passphrase.reveal()}\n`;
    if (out === "-") io.stdout.write(text);
    else await files.createExclusive(resolve(io.cwd, out), text, SECRET_MODE);
    return EXIT.done;
  },
};

/** The flags that name the keys. */
interface KeyPlace {
  readonly caKey: string | undefined;
  readonly dataDir: string;
}

interface EncryptedKey {
  readonly path: string;
  readonly pem: string;
}

/** Finds the encrypted keys that flags name, or those of the CAs in the data directory; a missing key file is an error. */
async function findEncryptedKeys(
  { caKey, dataDir }: KeyPlace,
  io: Io,
  files: FilePort,
): Promise<readonly EncryptedKey[]> {
  const paths = caKey === undefined ? CA_PURPOSES.map((purpose) => authorityPaths(dataDir, purpose).key) : [caKey];
  const keys: EncryptedKey[] = [];
  for (const path of paths.map((one) => resolve(io.cwd, one))) {
    const pem = await files.readText(path);
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
