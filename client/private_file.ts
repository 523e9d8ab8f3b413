/** Files that are for their owner only: secrets, and the folders that hold them. */
import { sep } from "node:path";
import { AppError } from "../core/errors.ts";
import { shellWord } from "../core/lib/shell_word.ts";
import type { FileFacts, FilePort } from "./files.ts";

const OTHERS = 0o077;
const OTHERS_WRITE = 0o002;
const GROUP_WRITE = 0o020;

/** Refuses a secret that others can read. Links are followed, because volumes of containers consist of them. */
export async function checkPrivate(path: string, files: Pick<FilePort, "stat">): Promise<void> {
  const facts = await files.stat(path);
  const fault = facts === undefined ? undefined : findModeFault(facts);
  if (fault === undefined) return;
  throw new AppError("file_permissions", `cannot use "${path}": ${fault}`, { hint: `chmod 600 ${shellWord(path)}` });
}

/**
 * Refuses a folder of secrets that everybody may write to: whoever plants a key or a link there decides what is used.
 * True when only its group may: that is told, and left to the operator, as volumes of containers are often so.
 */
export async function checkOwnFolder(path: string, files: Pick<FilePort, "stat">): Promise<{ isForGroup: boolean }> {
  const facts = await files.stat(path);
  if (facts === undefined || isWindowsMode(facts.mode)) return { isForGroup: false };
  if (!isOpenToAll(facts)) return { isForGroup: groupMayWrite(facts) };
  throw new AppError(
    "file_permissions",
    `cannot use folder "${path}": everybody may write to it (mode ${facts.mode.toString(8)})`,
    {
      hint: `chmod 700 ${shellWord(path)}, or choose a folder below it, which is made for its owner only`,
    },
  );
}

/** Whether everybody may write to a folder, and so exchange what is in it. */
export function isOpenToAll({ mode }: FileFacts): boolean {
  return !isWindowsMode(mode) && (mode & OTHERS_WRITE) !== 0;
}

/** Whether the group of a folder may write to it. */
export function groupMayWrite({ mode }: FileFacts): boolean {
  return !isWindowsMode(mode) && (mode & GROUP_WRITE) !== 0;
}

/**
 * Why a key that was found must not be used: another user may have put it there, or knows it. Undefined for a plain file
 * of this user or of root that no one else can read or write. Windows reports no owners and modes, so links alone count
 * there.
 */
export function findSecretFault(facts: FileFacts): string | undefined {
  if (facts.kind === "symlink") return "it is a symbolic link";
  if (facts.kind !== "file") return "it is not a file";
  if (facts.isOwnedByOther) return "it belongs to another user";
  return findModeFault(facts);
}

/** Why a secret is none: others may read it. Undefined where the mode keeps them out, and on Windows. */
export function findModeFault({ mode }: FileFacts): string | undefined {
  if ((mode & OTHERS) === 0 || isWindowsMode(mode)) return undefined;
  return `others may read it (mode ${mode.toString(8)})`;
}

/** Windows shows every file as 666 or 444. */
export function isWindowsMode(mode: number): boolean {
  return sep === "\\" && (mode === 0o666 || mode === 0o444);
}
