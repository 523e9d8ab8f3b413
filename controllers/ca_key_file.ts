/** Reads the private key of a CA from its own file, plain or encrypted with a passphrase. */
import type { Secret } from "../core/lib/brand.ts";
import { AppError } from "../core/errors.ts";
import { decryptPrivateKey, detectKeyEncryption } from "../core/pki/encrypted_key.ts";
import { createCaKey, parsePrivateKey, type PrivateKey } from "../core/pki/keys.ts";
import type { CaKey } from "../core/ports.ts";
import { err, ok, type Result } from "../core/lib/result.ts";
import { shellWord } from "../core/lib/shell_word.ts";
import type { CaFiles } from "./ca_provider.ts";

/** A place that a CA's private key is read from. */
export interface CaKeySource {
  /** The path of a file or a program, for messages. */
  readonly name: string;
  /** Returns the present state; a different text means that the key may be a different one. Rejects when there is nothing. */
  state(): Promise<string>;
  /** Opens the key of a state; an error says what is wrong with it. Rejects with AppError when the key is refused. */
  open(state: string): Promise<Result<CaKey, string>>;
}

/** Asks for the passphrase of the named key. Throws AppError `passphrase_missing`. */
export type PassphrasePort = (keyName: string) => Promise<Secret<string>>;

const GROUP_AND_OTHERS = 0o077;

/** Creates the source for a key file. Opening it throws AppError `file_permissions`, `passphrase_missing` or `passphrase_wrong`. */
export function createKeyFileSource(files: CaFiles, path: string, passphrase?: PassphrasePort): CaKeySource {
  return {
    name: path,
    state: () => files.read(path),
    async open(pem) {
      refuseOpenKey(path, await files.mode(path));
      const key = await openPrivateKey(pem, path, passphrase);
      return key.ok ? ok(createCaKey(key.value)) : key;
    },
  };
}

/** Reads a private key and decrypts it where it is encrypted; an error says what is wrong with the text. */
export async function openPrivateKey(
  pem: string,
  name: string,
  passphrase?: PassphrasePort,
): Promise<Result<PrivateKey, string>> {
  if (detectKeyEncryption(pem) !== "pkcs8") return parsePrivateKey(pem);
  if (passphrase === undefined) return err("the private key is encrypted, and there is no passphrase");
  const plain = await decryptPrivateKey(pem, (await passphrase(name)).reveal());
  if (plain.ok) return parsePrivateKey(plain.value);
  if (plain.error.kind === "unreadable") return err(plain.error.message);
  throw new AppError("passphrase_wrong", `cannot open the key "${name}": the passphrase does not fit`, {
    hint: "give the passphrase of this key with --ca-passphrase-file, or type it again",
  });
}

function refuseOpenKey(path: string, mode: number): void {
  if ((mode & GROUP_AND_OTHERS) === 0) return;
  throw new AppError(
    "file_permissions",
    `cannot use CA key "${path}": its mode ${(mode & 0o777).toString(8).padStart(4, "0")} lets others at it`,
    { hint: `chmod 600 ${shellWord(path)}` },
  );
}
