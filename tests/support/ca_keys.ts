/** CA keys for tests that open them outside a command. */
import { createFilePort } from "../../client/files.ts";
import { type CaKeys, createCaKeys } from "../../cli/authority/keys.ts";
import { createCapturedIo } from "./captured_io.ts";

/** Plain keys: there is no passphrase, and nobody to ask. */
export function createPlainKeys(): CaKeys {
  const signal = new AbortController().signal;
  const settings = { caPassphraseFile: undefined, signingKeyCommand: undefined };
  return createCaKeys(settings, createCapturedIo(), createFilePort(), signal);
}
