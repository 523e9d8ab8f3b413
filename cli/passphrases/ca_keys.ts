/** Opens the keys of CAs as the flags of a command say. */
import { resolve } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { type CaKeys, openCaKeys } from "../../instance/authority/keys.ts";
import type { Io } from "../io.ts";
import { DERIVING_KEY, type ProgressIo, startProgress } from "../output/progress.ts";
import { assertPlausibleClock } from "../plausible_clock.ts";
import { createPassphrases } from "./passphrase.ts";

/** The settings that concern CA keys. */
export interface CaKeySettings {
  /** A file with the passphrase, or files with its shares; `-` is stdin. */
  readonly caPassphraseFile?: readonly string[] | undefined;
  readonly signingKeyCommand?: string | undefined;
}

/**
 * Creates the access to CA keys for one run of a command. Throws AppError `clock_not_set` when the clock shows a time before
 * the program was built: whatever is signed then would be wrong.
 */
export function createCaKeys(
  { caPassphraseFile = [], signingKeyCommand }: CaKeySettings,
  io: Pick<Io, "stdin" | "cwd" | "keyIterations"> & ProgressIo,
  files: FilePort,
  signal: AbortSignal,
): CaKeys {
  assertPlausibleClock(io);
  return openCaKeys({
    passphrases: createPassphrases(caPassphraseFile, io, files, signal),
    files,
    cwd: io.cwd,
    program: signingKeyCommand === undefined ? undefined : resolve(io.cwd, signingKeyCommand),
    env: io.env,
    showDerivation: () => startProgress(io, DERIVING_KEY),
    keyIterations: io.keyIterations,
  });
}
