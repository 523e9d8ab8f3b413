/** Files that are for their owner only. */
import { sep } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";

const OTHERS = 0o077;
const OTHERS_WRITE = 0o002;
const GROUP_WRITE = 0o020;

/** Refuses a secret that others can read. Windows has no such bits and reports none that would matter. */
export async function checkPrivate(path: string, files: FilePort): Promise<void> {
  const facts = await files.stat(path);
  if (facts === undefined || (facts.mode & OTHERS) === 0 || isWindowsMode(facts.mode)) return;
  throw new AppError("file_permissions", `cannot use "${path}": others may read it (mode ${facts.mode.toString(8)})`, {
    hint: `chmod 600 ${path}`,
  });
}

/**
 * Refuses a folder of secrets that everybody may write to: whoever plants a key or a link there decides what is used.
 * True when only its group may: that is told, and left to the operator, as volumes of containers are often so.
 */
export async function checkOwnFolder(path: string, files: Pick<FilePort, "stat">): Promise<{ isForGroup: boolean }> {
  const mode = (await files.stat(path))?.mode ?? 0;
  if (isWindowsMode(mode)) return { isForGroup: false };
  if ((mode & OTHERS_WRITE) === 0) return { isForGroup: (mode & GROUP_WRITE) !== 0 };
  throw new AppError(
    "file_permissions",
    `cannot use folder "${path}": everybody may write to it (mode ${mode.toString(8)})`,
    {
      hint: `chmod 700 ${path}, or choose a folder below it, which is made for its owner only`,
    },
  );
}

/** Windows shows every file as 666 or 444. */
export function isWindowsMode(mode: number): boolean {
  return sep === "\\" && (mode === 0o666 || mode === 0o444);
}
