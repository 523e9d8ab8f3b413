/** The dependencies of an instance in the process of a test. */
import { createCaKeys } from "../../cli/passphrases/passphrase.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { createFilePort } from "../../client/files.ts";
import type { CaKeys } from "../../instance/authority/keys.ts";
import type { InstanceDeps } from "../../instance/deps.ts";
import { createCapturedIo } from "./captured_io.ts";
import { createMemoryLogger } from "./memory_logger.ts";

/** Creates real dependencies in a folder, but keeps the log in memory and discards stdout. */
export function createInstanceDeps(cwd: string, edit: Partial<InstanceDeps> = {}): InstanceDeps {
  return {
    files: createFilePort(),
    clock: createSystemClock(),
    random: createSystemRandom(),
    logger: createMemoryLogger(),
    cwd,
    keys: createPlainKeys(),
    heap: undefined,
    stdout: { write: () => {} },
    ...edit,
  };
}

/** Creates the CA keys without a passphrase. */
export function createPlainKeys(): CaKeys {
  const signal = new AbortController().signal;
  const settings = { caPassphraseFile: undefined };
  return createCaKeys(settings, { ...createCapturedIo(), files: createFilePort(), signal });
}
