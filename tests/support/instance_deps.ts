/** The dependencies of an instance in the process of a test. */
import { createFilePort } from "../../client/files.ts";
import type { InstanceDeps } from "../../instance/deps.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { createPlainKeys } from "./ca_keys.ts";
import { createMemoryLogger } from "./memory_logger.ts";

/** The real ones, but for the log, in a folder. */
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
