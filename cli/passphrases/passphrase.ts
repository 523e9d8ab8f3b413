/**
 * Reads passphrases of keys and backups: from a file, from stdin, from shares, or typed on a terminal, but never from flags
 * and the environment, which other processes can see. `createCaKeys` opens CA keys with them.
 */
import { resolve } from "node:path";
import { equalsInConstantTime, Secret } from "../../core/lib/brand.ts";
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";
import { displayPath } from "../output/files.ts";
import { readPrivateFile } from "../../client/private_file.ts";
import { type CaKeys, openCaKeys, type Passphrases } from "../../instance/authority/keys.ts";
import { looksLikeShare } from "./secret_shares.ts";
import { completeShares, readPassphraseOfShares, type ShareTools, TYPED_SHARES } from "./typed_shares.ts";
import type { Tools } from "../io.ts";
import { DERIVING_KEY, type ProgressIo, startProgress } from "../output/progress.ts";
import { assertPlausibleClock } from "../plausible_clock.ts";

/** The maximum length of a passphrase. A longer text probably comes from the wrong file. */
const MAX_LENGTH = 1024;

/** Words for messages about a passphrase. */
interface PassphraseWords {
  /** What the passphrase encrypts, such as `key`. */
  readonly what: string;
  /** The flag that names the file of the passphrase. */
  readonly flag: string;
  /** True when shares can replace the passphrase. */
  readonly maySplit?: boolean;
}

const KEY_WORDS: PassphraseWords = { what: "key", flag: "--ca-passphrase-file", maySplit: true };

/** Creates the source of a passphrase for the value of a flag: a file with it, files with its shares, or `-` for stdin. */
export function createPassphrases(
  value: string | readonly string[] | undefined,
  tools: ShareTools,
  words: PassphraseWords = KEY_WORDS,
): Passphrases {
  const { stdin, stderr, cwd, files, signal } = tools;
  const values = [value ?? []].flat();
  let mayPrompt = stdin.isTerminal && stderr.isTerminal;
  let known: Secret<string> | undefined;

  async function readGiven(): Promise<Secret<string> | undefined> {
    const [file, ...others] = values;
    if (known !== undefined || file === undefined) return known;
    if (others.length > 0) return known = await readPassphraseOfShares(values, tools);
    if (file === "-") {
      return stdin.isTerminal ? undefined : known = await read(await stdin.readLine(signal) ?? "", "stdin");
    }
    const text = await readPassphraseFile(file, cwd, files, words.flag);
    return isShare(text) ? await readPassphraseOfShares(values, tools) : checkPassphrase(text, `"${file}"`);
  }

  const isShare = (text: string): boolean => words.maySplit === true && looksLikeShare(text);

  /** Reads a passphrase, or the first of several shares. */
  async function read(text: string, from: string): Promise<Secret<string>> {
    return isShare(text) ? await completeShares(text, tools) : checkPassphrase(text, from);
  }

  async function prompt(question: string): Promise<string | undefined> {
    stderr.write(`${question}: `);
    try {
      return await stdin.readHidden(signal);
    } finally {
      // The terminal did not echo the Enter key.
      stderr.write("\n");
    }
  }

  function createMissingError(keyName: string, verb: string): AppError {
    return new AppError("passphrase_missing", `cannot ${verb} the ${words.what} "${keyName}": there is no passphrase`, {
      hint: `give a file that contains it${
        words.maySplit ? ", or one for each of its shares," : ""
      } with ${words.flag}, or run the command on a terminal`,
    });
  }

  return {
    isGiven: values.length > 0,
    async getForOpening(keyName) {
      const passphrase = await readGiven();
      if (passphrase !== undefined) return passphrase;
      if (!mayPrompt) throw createMissingError(keyName, "open");
      const typed = await prompt(`Passphrase of ${displayPath(keyName, cwd)}`);
      // An empty line at the prompt means that the user types shares.
      return known = typed === "" && words.maySplit
        ? await readPassphraseOfShares([TYPED_SHARES], tools)
        : await read(typed ?? "", "the terminal");
    },
    async getForCreating(keyName) {
      const passphrase = await readGiven();
      if (passphrase !== undefined) return passphrase;
      if (!mayPrompt) throw createMissingError(keyName, "encrypt");
      const first = checkPassphrase(await prompt(`Passphrase of the new ${words.what}`) ?? "", "the terminal");
      const second = checkPassphrase(await prompt("The same again") ?? "", "the terminal");
      if (!equalsInConstantTime(first.reveal(), second.reveal())) {
        throw new AppError("invalid", `cannot encrypt the ${words.what}: the two passphrases are not the same`, {
          hint: "run the command again",
        });
      }
      known = first;
      return first;
    },
    stopPrompting() {
      mayPrompt = false;
    },
  };
}

/** Reads a file that only its owner may read, without the line break at its end. */
async function readPassphraseFile(
  file: string,
  cwd: string,
  files: FilePort,
  flag: string,
): Promise<string> {
  const words = { what: `passphrase file "${file}"`, hint: `check the path of ${flag}` };
  return (await readPrivateFile(resolve(cwd, file), files, words)).replace(/\r?\n$/, "");
}

function checkPassphrase(passphrase: string, from: string): Secret<string> {
  const fault = passphrase === ""
    ? "it is empty"
    : /[\r\n\0]/.test(passphrase)
    ? "it has more than one line"
    : passphrase.length > MAX_LENGTH
    ? `it has more than ${MAX_LENGTH} characters`
    : undefined;
  if (fault === undefined) return new Secret(passphrase);
  throw new AppError("passphrase_missing", `cannot use the passphrase from ${from}: ${fault}`, {
    hint: "give one line that is not empty",
  });
}

export interface CaKeySettings {
  /** A file with the passphrase, or files with its shares; `-` is stdin. */
  readonly caPassphraseFile?: readonly string[] | undefined;
  readonly signingKeyCommand?: string | undefined;
}

/**
 * Creates the access to CA keys for one run of a command. Throws AppError `clock_not_set` when the clock shows a time before
 * the build of the program, because signatures would have a wrong time.
 */
export function createCaKeys(
  { caPassphraseFile = [], signingKeyCommand }: CaKeySettings,
  tools: Pick<Tools, "stdin" | "cwd" | "keyIterations" | "files" | "signal"> & ProgressIo,
): CaKeys {
  const { files } = tools;
  assertPlausibleClock(tools);
  return openCaKeys({
    passphrases: createPassphrases(caPassphraseFile, tools),
    files,
    cwd: tools.cwd,
    program: signingKeyCommand === undefined ? undefined : resolve(tools.cwd, signingKeyCommand),
    env: tools.env,
    showDerivation: () => startProgress(tools, DERIVING_KEY),
    keyIterations: tools.keyIterations,
  });
}
