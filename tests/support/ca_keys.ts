/** CA keys for tests that open them outside a command. */
import { createFilePort } from "../../client/files.ts";
import type { CaKeys } from "../../instance/authority/keys.ts";
import { createCaKeys } from "../../cli/passphrases/ca_keys.ts";
import { createCapturedIo } from "./captured_io.ts";

/** Creates a store of plain keys: there is no passphrase and no prompt. */
export function createPlainKeys(): CaKeys {
  const signal = new AbortController().signal;
  const settings = { caPassphraseFile: undefined };
  return createCaKeys(settings, { ...createCapturedIo(), files: createFilePort(), signal });
}
