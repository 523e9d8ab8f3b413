/** The passphrase of CA keys: from a file, from stdin, or typed on a terminal. Never a flag, never the environment. */
import { resolve } from "node:path";
import { Secret } from "../../core/lib/brand.ts";
import { equalsInConstantTime } from "../../core/lib/constant_time.ts";
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";
import type { Io } from "../io.ts";
import { displayPath } from "../output/display_path.ts";
import { checkPrivate } from "../../client/private_file.ts";

/** Where passphrases come from during one run. */
export interface Passphrases {
  /** True when one is handed over: then keys that are made are put under it. */
  readonly isGiven: boolean;
  /** To open a key; a person is asked once, a file is read each time. AppError `passphrase_missing`. */
  toOpen(keyName: string): Promise<Secret<string>>;
  /** To make a key; a person types it twice. AppError `passphrase_missing`, `invalid`. */
  toMake(keyName: string): Promise<Secret<string>>;
  /** From now on nobody is asked any more: a question in the middle of the log of a server would hold it up. */
  stopAsking(): void;
}

/** Long enough for sentences; a whole file is a mistake. */
const MAX_LENGTH = 1024;

/** What is put under a passphrase, in words. */
export interface PassphraseWords {
  /** Such as `key`. */
  readonly what: string;
  /** The flag that names the file of the passphrase. */
  readonly flag: string;
}

const KEY_WORDS: PassphraseWords = { what: "key", flag: "--ca-passphrase-file" };

/** Makes the source over the file of a flag; `-` is the next line of stdin. */
export function createPassphrases(
  file: string | undefined,
  io: Pick<Io, "stdin" | "stderr" | "cwd">,
  files: FilePort,
  signal: AbortSignal,
  words: PassphraseWords = KEY_WORDS,
): Passphrases {
  let mayAsk = io.stdin.isTerminal && io.stderr.isTerminal;
  let known: Secret<string> | undefined;

  async function given(): Promise<Secret<string> | undefined> {
    if (file === undefined) return known;
    if (file !== "-") return await readPassphraseFile(file, io.cwd, files, words.flag);
    if (io.stdin.isTerminal) return known;
    known ??= checked(await io.stdin.readLine(signal) ?? "", "stdin");
    return known;
  }

  async function ask(question: string): Promise<Secret<string>> {
    io.stderr.write(`${question}: `);
    try {
      return checked(await io.stdin.readHidden(signal) ?? "", "the terminal");
    } finally {
      // Enter was not shown either.
      io.stderr.write("\n");
    }
  }

  function missing(keyName: string, verb: string): AppError {
    return new AppError("passphrase_missing", `cannot ${verb} the ${words.what} "${keyName}": there is no passphrase`, {
      hint: `give a file that holds it with ${words.flag}, or run the command on a terminal`,
    });
  }

  return {
    isGiven: file !== undefined,
    async toOpen(keyName) {
      const passphrase = await given();
      if (passphrase !== undefined) return passphrase;
      if (!mayAsk) throw missing(keyName, "open");
      known = await ask(`Passphrase of ${displayPath(keyName, io.cwd)}`);
      return known;
    },
    async toMake(keyName) {
      const passphrase = await given();
      if (passphrase !== undefined) return passphrase;
      if (!mayAsk) throw missing(keyName, "encrypt");
      const first = await ask(`Passphrase of the new ${words.what}`);
      const second = await ask("The same again");
      if (!equalsInConstantTime(first.reveal(), second.reveal())) {
        throw new AppError("invalid", `cannot encrypt the ${words.what}: the two passphrases are not the same`, {
          hint: "run the command again",
        });
      }
      known = first;
      return first;
    },
    stopAsking() {
      mayAsk = false;
    },
  };
}

/** One line in a file of its owner. */
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
  await checkPrivate(path, files);
  return checked(text.replace(/\r?\n$/, ""), `"${file}"`);
}

function checked(passphrase: string, from: string): Secret<string> {
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
