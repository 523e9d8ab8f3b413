/** Opens the keys of CAs during one run, from files or through a program, as the flags of the command say. */
import { resolve } from "node:path";
import type { FilePort } from "../../client/files.ts";
import {
  type CaFiles,
  type CaKeySource,
  createKeyFileSource,
  openPrivateKey,
  type PassphrasePort,
} from "../../controllers/ca_provider.ts";
import type { Secret } from "../../core/lib/brand.ts";
import type { Result } from "../../core/lib/result.ts";
import { encryptPrivateKey } from "../../core/pki/keys/encrypted_key.ts";
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import type { CaKey, Random } from "../../core/ports.ts";
import { DERIVING_KEY, type ProgressIo, type ProgressLine, startProgress } from "../../cli/output/progress.ts";
import type { Io } from "../../cli/io.ts";
import { assertPlausibleClock } from "../../cli/plausible_clock.ts";
import { UsageError } from "../../cli/framework/usage_error.ts";
import { createKeyProgramSource } from "./key_program.ts";
import type { AuthorityPaths } from "./layout.ts";
import { createPassphrases, type Passphrases } from "./passphrase.ts";
import { AppError } from "../../core/errors.ts";
import { findModeFault } from "../../client/private_file.ts";

/** Access to the keys of CAs. */
export interface CaKeys {
  readonly passphrases: Passphrases;
  /** True when a program replaces the key files of the instance's CAs, and key files that no flag names. */
  readonly hasProgram: boolean;
  /**
   * Opens a private key, an encrypted one with the passphrase of the command. The error says what is wrong with the text.
   * Throws AppError `passphrase_missing` and `passphrase_wrong`.
   */
  openKey(pem: string, name: string): Promise<Result<PrivateKey, string>>;
  /** Encrypts a private key, and shows on a terminal that this takes a moment. */
  encryptKey(key: PrivateKey, passphrase: Secret<string>, random: Random): Promise<string>;
  /** Returns the source of the key of one of the instance's CAs. */
  getSource(paths: AuthorityPaths): CaKeySource;
  /** Returns the source of the key of a CA that flags name. Without a key file the program holds the key. */
  getNamedSource(certificate: string, keyFile: string | undefined): CaKeySource;
}

/** The settings that concern CA keys. */
export interface CaKeySettings {
  readonly caPassphraseFile: string | undefined;
  /** Files with shares of the passphrase, or `-` for those that are typed. */
  readonly caPassphraseShare?: readonly string[];
  readonly signingKeyCommand?: string | undefined;
}

/**
 * Creates the access to CA keys for one run of a command. Throws AppError `clock_not_set` when the clock shows a time before
 * the program was built: whatever is signed then would be wrong.
 */
export function createCaKeys(
  { caPassphraseFile, caPassphraseShare = [], signingKeyCommand }: CaKeySettings,
  io: Pick<Io, "stdin" | "cwd" | "keyIterations"> & ProgressIo,
  files: FilePort,
  signal: AbortSignal,
): CaKeys {
  if (caPassphraseFile !== undefined && caPassphraseShare.length > 0) {
    throw new UsageError(
      "--ca-passphrase-file and --ca-passphrase-share both give the passphrase",
      "leave one of them out",
    );
  }
  assertPlausibleClock(io);
  const passphrases = createPassphrases(caPassphraseFile, io, files, signal, undefined, caPassphraseShare);
  const caFiles = createCaFiles(files);
  const program = signingKeyCommand === undefined ? undefined : resolve(io.cwd, signingKeyCommand);

  /** Shows that a key is derived, from the moment when the passphrase is known, because a user may type it. */
  async function showDerivation<T>(action: (passphrase: PassphrasePort) => Promise<T>): Promise<T> {
    let progress: ProgressLine | undefined;
    try {
      return await action(async (name) => {
        const secret = await passphrases.getForOpening(name);
        progress = startProgress(io, DERIVING_KEY);
        return secret;
      });
    } finally {
      progress?.[Symbol.dispose]();
    }
  }

  function createFileSource(path: string): CaKeySource {
    const open = (state: string) =>
      showDerivation((passphrase) => createKeyFileSource(caFiles, path, passphrase).open(state));
    return { ...createKeyFileSource(caFiles, path), open };
  }

  function sourceIn(certificate: string, keyFile: string): CaKeySource {
    return program === undefined
      ? createFileSource(keyFile)
      : createKeyProgramSource({ program, certificate, env: io.env });
  }

  return {
    passphrases,
    hasProgram: program !== undefined,
    openKey: (pem, name) => showDerivation((passphrase) => openPrivateKey(pem, name, passphrase)),
    async encryptKey(key, passphrase, random) {
      using _ = startProgress(io, DERIVING_KEY);
      return await encryptPrivateKey(key, passphrase.reveal(), random, io.keyIterations);
    },
    getSource: ({ certificate, key }) => sourceIn(certificate, key),
    getNamedSource: (certificate, keyFile) =>
      keyFile === undefined ? sourceIn(certificate, "") : createFileSource(resolve(io.cwd, keyFile)),
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
