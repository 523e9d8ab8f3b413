/** How the keys of CAs are opened during one run: what the flags of a command say of it. */
import type { FilePort } from "../../client/files.ts";
import { type CaKeySource, createKeyFileSource } from "../../server/controllers/ca_key_file.ts";
import type { Io } from "../io.ts";
import { caFilesOver } from "../site/ca_files.ts";
import type { AuthorityPaths } from "./layout.ts";
import { createPassphrases, type Passphrases } from "./passphrase.ts";

/** The keys of CAs. */
export interface CaKeys {
  readonly passphrases: Passphrases;
  /** Where the key of a CA is. */
  sourceOf(paths: AuthorityPaths): CaKeySource;
}

/** What the flags say. */
export interface CaKeySettings {
  readonly caPassphraseFile: string | undefined;
}

/** Makes it for one run of a command. */
export function createCaKeys(
  { caPassphraseFile }: CaKeySettings,
  io: Pick<Io, "stdin" | "stderr" | "cwd">,
  files: FilePort,
  signal: AbortSignal,
): CaKeys {
  const passphrases = createPassphrases(caPassphraseFile, io, files, signal);
  const caFiles = caFilesOver(files);
  return { passphrases, sourceOf: ({ key }) => createKeyFileSource(caFiles, key, passphrases.toOpen) };
}
