/** How the keys of CAs are opened during one run: what the flags of a command say of it. */
import { resolve } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { type CaKeySource, createKeyFileSource } from "../../server/controllers/ca_key_file.ts";
import type { Io } from "../io.ts";
import { createCaFiles } from "../instance/ca_files.ts";
import { createKeyProgramSource } from "./key_program.ts";
import type { AuthorityPaths } from "./layout.ts";
import { createPassphrases, type Passphrases } from "./passphrase.ts";

/** The keys of CAs. */
export interface CaKeys {
  readonly passphrases: Passphrases;
  /** True when a program stands in for the key files of the instance's CAs, and for those that no flag names. */
  readonly hasProgram: boolean;
  /** Where the key of one of the instance's CAs is. */
  getSource(paths: AuthorityPaths): CaKeySource;
  /** Where the key of a CA is whose files flags name; the program has it when no key file is named. */
  getNamedSource(certificate: string, keyFile: string | undefined): CaKeySource;
}

/** What the flags say. */
export interface CaKeySettings {
  readonly caPassphraseFile: string | undefined;
  readonly signingKeyCommand: string | undefined;
}

/** Makes it for one run of a command. */
export function createCaKeys(
  { caPassphraseFile, signingKeyCommand }: CaKeySettings,
  io: Pick<Io, "stdin" | "stderr" | "cwd" | "env">,
  files: FilePort,
  signal: AbortSignal,
): CaKeys {
  const passphrases = createPassphrases(caPassphraseFile, io, files, signal);
  const caFiles = createCaFiles(files);
  const program = signingKeyCommand === undefined ? undefined : resolve(io.cwd, signingKeyCommand);

  function sourceIn(certificate: string, keyFile: string): CaKeySource {
    return program === undefined
      ? createKeyFileSource(caFiles, keyFile, passphrases.toOpen)
      : createKeyProgramSource({ program, certificate, env: io.env });
  }

  return {
    passphrases,
    hasProgram: program !== undefined,
    getSource: ({ certificate, key }) => sourceIn(certificate, key),
    getNamedSource: (certificate, keyFile) =>
      keyFile === undefined
        ? sourceIn(certificate, "")
        : createKeyFileSource(caFiles, resolve(io.cwd, keyFile), passphrases.toOpen),
  };
}
