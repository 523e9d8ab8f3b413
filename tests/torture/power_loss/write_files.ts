/**
 * Writes files as the product does, into the folder that is its argument, and rotates and compresses a log. The scene
 * "files" of `scenes.ts` runs it.
 */
import { join } from "node:path";
import process from "node:process";
import { runMain } from "../../support/command_line.ts";
import { createSystemClock } from "../../../cli/system.ts";
import { openLogFile } from "../../../instance/parts/audit_log.ts";
import { createFilePort } from "../../../client/files.ts";
import { createMemoryLogger } from "../../support/memory_logger.ts";

const root = process.argv[2] ?? "";

async function main(): Promise<number> {
  const files = createFilePort();
  const folder = join(root, "new", "folders");
  await files.makeDirectory(folder, 0o700);
  await files.createExclusive(join(folder, "key"), "a key", 0o600);
  await files.writeAtomic(join(folder, "certificate"), "the first certificate", 0o644);
  await files.writeAtomic(join(folder, "certificate"), "the second certificate", 0o644);
  await files.symlink(join(folder, "certificate"), join(folder, "updated"));
  await files.rename(join(folder, "updated"), join(folder, "current"));
  await files.unlink(join(folder, "key"));
  const limits = { maxBytes: 1_000, maxAgeDays: 0, maxBackups: 0, compress: true };
  const deps = { clock: createSystemClock(), logger: createMemoryLogger() };
  await using log = openLogFile({ path: join(root, "audit.log"), ...limits }, deps);
  for (let line = 0; line < 3; line++) log.append(`${line}`.repeat(900));
  return 0;
}

runMain("write files", main);
