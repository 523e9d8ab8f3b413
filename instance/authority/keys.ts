/** The keys of CAs during one run: in files, which may be encrypted, or held by a program. */
import { resolve } from "node:path";
import type { FilePort } from "../../client/files.ts";
import {
  type CaFiles,
  type CaKeySource,
  createKeyFileSource,
  openPrivateKey,
  type PassphrasePort,
} from "../../controllers/signer/ca_provider.ts";
import type { Secret } from "../../core/lib/brand.ts";
import type { Result } from "../../core/lib/result.ts";
import { encryptPrivateKey } from "../../core/pki/keys/encrypted_key.ts";
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import type { CaKey, Random } from "../../core/ports.ts";
import { createKeyProgramSource } from "./key_program.ts";
import type { AuthorityPaths } from "./layout.ts";
import { AppError } from "../../core/errors.ts";
import { findModeFault } from "../../client/private_file.ts";

/** The source of the passphrase of encrypted keys. */
export interface Passphrases {
  /** True when a file or shares are given; new keys are then encrypted with that passphrase. */
  readonly isGiven: boolean;
  /** Returns the passphrase to open a key. The user is prompted once; a file is read each time. Throws AppError `passphrase_missing`. */
  getForOpening(keyName: string): Promise<Secret<string>>;
  /** Returns the passphrase for a new key, which the user types twice. Throws AppError `passphrase_missing` and `invalid`. */
  getForCreating(keyName: string): Promise<Secret<string>>;
  /** Stops all prompts: a prompt in the middle of a server's log would block the server. */
  stopPrompting(): void;
}

/** Access to the keys of CAs. */
export interface CaKeys {
  readonly passphrases: Passphrases;
  /** True when a program replaces the key files of the instance's CAs. */
  readonly hasProgram: boolean;
  /**
   * Opens a private key, an encrypted one with the passphrase. The error says what is wrong with the text.
   * Throws AppError `passphrase_missing` and `passphrase_wrong`.
   */
  openKey(pem: string, name: string): Promise<Result<PrivateKey, string>>;
  encryptKey(key: PrivateKey, passphrase: Secret<string>, random: Random): Promise<string>;
  /** Returns the source of the key of one of the instance's CAs. */
  getSource(paths: AuthorityPaths): CaKeySource;
  /** Returns the source of the key of another CA. Without a key file the program holds the key. */
  getNamedSource(certificate: string, keyFile: string | undefined): CaKeySource;
}

/** Where keys are, and what opens them. */
export interface CaKeyOptions {
  readonly passphrases: Passphrases;
  readonly files: FilePort;
  /** The current folder, in which relative paths of key files start. */
  readonly cwd: string;
  /** The path of the program that holds the keys; undefined for key files. */
  readonly program: string | undefined;
  /** The environment of the program. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Shows that a key is derived from a passphrase, which takes up to two seconds, until the result is disposed. */
  readonly showDerivation: () => Disposable;
  /** The iterations of PBKDF2 in a new encrypted key; undefined for the default. Only tests set it. */
  readonly keyIterations?: number | undefined;
}

/** Creates the access to CA keys. */
export function openCaKeys(
  { passphrases, files, cwd, program, env, showDerivation, keyIterations }: CaKeyOptions,
): CaKeys {
  const caFiles = createCaFiles(files);

  /** Shows that a key is derived, from the moment when the passphrase is known, because a user may type it. */
  async function derive<T>(action: (passphrase: PassphrasePort) => Promise<T>): Promise<T> {
    let shown: Disposable | undefined;
    try {
      return await action(async (name) => {
        const secret = await passphrases.getForOpening(name);
        shown = showDerivation();
        return secret;
      });
    } finally {
      shown?.[Symbol.dispose]();
    }
  }

  function createFileSource(path: string): CaKeySource {
    const open = (state: string) => derive((passphrase) => createKeyFileSource(caFiles, path, passphrase).open(state));
    return { ...createKeyFileSource(caFiles, path), open };
  }

  function sourceIn(certificate: string, keyFile: string): CaKeySource {
    return program === undefined ? createFileSource(keyFile) : createKeyProgramSource({ program, certificate, env });
  }

  return {
    passphrases,
    hasProgram: program !== undefined,
    openKey: (pem, name) => derive((passphrase) => openPrivateKey(pem, name, passphrase)),
    async encryptKey(key, passphrase, random) {
      using _ = showDerivation();
      return await encryptPrivateKey(key, passphrase.reveal(), random, keyIterations);
    },
    getSource: ({ certificate, key }) => sourceIn(certificate, key),
    getNamedSource: (certificate, keyFile) =>
      keyFile === undefined ? sourceIn(certificate, "") : createFileSource(resolve(cwd, keyFile)),
  };
}

/** Opens the key that a program holds for the CA of a certificate file. Throws AppError `key_invalid`. */
export async function openProgramKey(certificate: string, keys: CaKeys): Promise<CaKey> {
  const source = keys.getNamedSource(certificate, undefined);
  const key = await source.open(await source.state());
  if (key.ok) return key.value;
  throw new AppError("key_invalid", `cannot use the key of the CA "${certificate}": ${key.error}`, {
    hint: "docs/guides/ca.md describes what the program must answer",
  });
}

/** Creates access to files and their modes. A missing file is AppError `io`. */
export function createCaFiles(files: FilePort): CaFiles {
  return {
    async read(path) {
      const text = await files.readText(path);
      if (text === undefined) throw new AppError("io", `open ${path}: no such file or directory`);
      return text;
    },
    async mode(path) {
      const facts = await files.stat(path);
      return facts === undefined || findModeFault(facts) === undefined ? 0 : facts.mode;
    },
  };
}
