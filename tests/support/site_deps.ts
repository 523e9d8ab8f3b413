/** What a site takes in the process of a test. */
import { createFilePort } from "../../client/files.ts";
import type { SiteDeps } from "../../cli/site/site.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { createPlainKeys } from "./ca_keys.ts";
import { createMemoryLogger } from "./memory_logger.ts";

/** The real ones, but for the log, in a folder. */
export function createSiteDeps(cwd: string, edit: Partial<SiteDeps> = {}): SiteDeps {
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
