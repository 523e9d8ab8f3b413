/** Opens the keys of CAs as the flags of a command say. */
import { resolve } from "node:path";
import { type CaKeys, openCaKeys } from "../../instance/authority/keys.ts";
import type { Tools } from "../io.ts";
import { DERIVING_KEY, type ProgressIo, startProgress } from "../output/progress.ts";
import { assertPlausibleClock } from "../plausible_clock.ts";
import { createPassphrases } from "./passphrase.ts";

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
