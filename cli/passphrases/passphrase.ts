/**
 * Passphrases of keys and backups: from a file, from stdin, from shares, or typed on a terminal. Flags and the environment
 * never hold one, because other processes can see them.
 */
import { resolve } from "node:path";
import { Secret } from "../../core/lib/brand.ts";
import { equalsInConstantTime } from "../../core/lib/constant_time.ts";
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";
import type { Io } from "../io.ts";
import { displayPath } from "../output/display_path.ts";
import { checkPrivateFile } from "../../client/private_file.ts";
import type { Passphrases } from "../../instance/authority/keys.ts";
import { parseShare } from "./secret_shares.ts";
import { completeShares, readPassphraseOfShares } from "./typed_shares.ts";

/** The maximum length of a passphrase. A longer text is probably the wrong file. */
const MAX_LENGTH = 1024;

/** Words for messages about a passphrase. */
export interface PassphraseWords {
  /** The thing that is encrypted, such as `key`. */
  readonly what: string;
  /** The flag that names the file of the passphrase. */
  readonly flag: string;
  /** The flag that names the files of shares, for a passphrase that may be split. */
  readonly shareFlag?: string;
}

const KEY_WORDS: PassphraseWords = {
  what: "key",
  flag: "--ca-passphrase-file",
  shareFlag: "--ca-passphrase-share",
};

/**
 * Creates the source of a passphrase for the value of a flag; `-` is the next line of stdin. `shares` are the values of the
 * flag for shares, in place of a file.
 */
export function createPassphrases(
  file: string | undefined,
  io: Pick<Io, "stdin" | "stderr" | "cwd">,
  files: FilePort,
  signal: AbortSignal,
  words: PassphraseWords = KEY_WORDS,
  shares: readonly string[] = [],
): Passphrases {
  let mayPrompt = io.stdin.isTerminal && io.stderr.isTerminal;
  let known: Secret<string> | undefined;

  async function given(): Promise<Secret<string> | undefined> {
    if (shares.length > 0) return known ??= await readPassphraseOfShares(shares, { io, files, signal });
    if (file === undefined) return known;
    if (file !== "-") return await readPassphraseFile(file, io.cwd, files, words.flag);
    if (io.stdin.isTerminal) return known;
    known ??= checkPassphrase(await io.stdin.readLine(signal) ?? "", "stdin");
    return known;
  }

  async function prompt(question: string): Promise<Secret<string>> {
    io.stderr.write(`${question}: `);
    try {
      return checkPassphrase(await io.stdin.readHidden(signal) ?? "", "the terminal");
    } finally {
      // The Enter key was not echoed either.
      io.stderr.write("\n");
    }
  }

  function missing(keyName: string, verb: string): AppError {
    return new AppError("passphrase_missing", `cannot ${verb} the ${words.what} "${keyName}": there is no passphrase`, {
      hint: `give a file that contains it with ${words.flag}, ${
        words.shareFlag === undefined ? "" : `or its shares with ${words.shareFlag}, `
      }or run the command on a terminal`,
    });
  }

  return {
    isGiven: file !== undefined || shares.length > 0,
    async getForOpening(keyName) {
      const passphrase = await given();
      if (passphrase !== undefined) return passphrase;
      if (!mayPrompt) throw missing(keyName, "open");
      const typed = await prompt(`Passphrase of ${displayPath(keyName, io.cwd)}`);
      const share = words.shareFlag === undefined ? undefined : parseShare(typed.reveal());
      known = share?.ok === true ? await completeShares(share.value, { io, files, signal }) : typed;
      return known;
    },
    async getForCreating(keyName) {
      const passphrase = await given();
      if (passphrase !== undefined) return passphrase;
      if (!mayPrompt) throw missing(keyName, "encrypt");
      const first = await prompt(`Passphrase of the new ${words.what}`);
      const second = await prompt("The same again");
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

/** Reads a passphrase from a file of one line that only its owner may read. */
async function readPassphraseFile(
  file: string,
  cwd: string,
  files: FilePort,
  flag: string,
): Promise<Secret<string>> {
  const path = resolve(cwd, file);
  const text = await files.readText(path);
  if (text === undefined) {
    throw new AppError("not_found", `cannot read passphrase file "${file}": file does not exist`, {
      hint: `check the path of ${flag}`,
    });
  }
  await checkPrivateFile(path, files);
  return checkPassphrase(text.replace(/\r?\n$/, ""), `"${file}"`);
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
    hint: "want one line that is not empty",
  });
}
