/** Files that are for their owner only. */
import { sep } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";

const OTHERS = 0o077;

/** Refuses a secret that others can read. Windows has no such bits and reports none that would matter. */
export async function checkPrivate(path: string, files: FilePort): Promise<void> {
  const facts = await files.stat(path);
  if (facts === undefined || (facts.mode & OTHERS) === 0 || isWindowsMode(facts.mode)) return;
  throw new AppError("file_permissions", `cannot use "${path}": others may read it (mode ${facts.mode.toString(8)})`, {
    hint: `chmod 600 ${path}`,
  });
}

/** Windows shows every file as 666 or 444. */
export function isWindowsMode(mode: number): boolean {
  return sep === "\\" && (mode === 0o666 || mode === 0o444);
}
