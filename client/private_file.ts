/** Checks that secrets and their folders are private. */
import { sep } from "node:path";
import { AppError } from "../core/errors.ts";
import { shellWord } from "../core/lib/printable.ts";
import type { FileFacts, FilePort } from "./files.ts";

const OTHERS = 0o077;
const GROUP_READ = 0o040;
const OTHERS_WRITE = 0o002;
const GROUP_WRITE = 0o020;

/** Refuses a secret that others can read. Links are followed, because container volumes consist of links. */
export async function checkPrivateFile(path: string, files: Pick<FilePort, "stat">): Promise<void> {
  const facts = await files.stat(path);
  const fault = facts === undefined ? undefined : findModeFault(facts);
  if (fault === undefined) return;
  throw new AppError("file_permissions", `cannot use "${path}": ${fault}`, { hint: `chmod 600 ${shellWord(path)}` });
}

/** Reads a secret. AppError `not_found` with the hint, and those of `checkPrivateFile`. */
export async function readPrivateFile(
  path: string,
  files: Pick<FilePort, "readText" | "stat">,
  { what, hint }: { readonly what: string; readonly hint?: string },
): Promise<string> {
  const text = await files.readText(path);
  if (text === undefined) throw new AppError("not_found", `cannot read ${what}: file does not exist`, { hint });
  await checkPrivateFile(path, files);
  return text;
}

/**
 * Refuses a world-writable folder of secrets, because any user could plant a key or a link there. `isForGroup` is true
 * when the folder is group-writable: the caller logs a warning and continues, because container volumes often are.
 */
export async function checkSecretFolder(path: string, files: Pick<FilePort, "stat">): Promise<{ isForGroup: boolean }> {
  const facts = await files.stat(path);
  if (facts === undefined || isWindowsMode(facts.mode)) return { isForGroup: false };
  if (!isOpenToAll(facts)) return { isForGroup: isOpenToGroup(facts) };
  throw new AppError(
    "file_permissions",
    `cannot use folder "${path}": every user may write to it (mode ${facts.mode.toString(8)})`,
    {
      hint: `chmod 700 ${shellWord(path)}, or choose a folder below it, which is created for its owner only`,
    },
  );
}

/** Reports whether a folder is world-writable, so that any user can replace the files in it. */
export function isOpenToAll({ mode }: FileFacts): boolean {
  return !isWindowsMode(mode) && (mode & OTHERS_WRITE) !== 0;
}

/** Reports whether a folder is group-writable. */
export function isOpenToGroup({ mode }: FileFacts): boolean {
  return !isWindowsMode(mode) && (mode & GROUP_WRITE) !== 0;
}

/**
 * Finds the reason why a key file must not be used: another user may have read or written it. Undefined for a
 * regular file of this user or root that no one else can read or write. Windows reports neither owners nor modes, so
 * only links are refused there.
 */
export function findSecretFault(facts: FileFacts): string | undefined {
  if (facts.kind === "symlink") return "it is a symbolic link";
  if (facts.kind !== "file") return "it is not a file";
  if (facts.isOwnedByOther) return "it belongs to another user";
  return findModeFault(facts);
}

/**
 * Finds the reason why a secret is not private: other users may read it. Always undefined on Windows. A file of root
 * may be readable by its group, because root has no other way to let this process read it: the kubelet writes Secrets
 * like that for pods that do not run as root. PostgreSQL has the same rule (`src/backend/libpq/be-secure-common.c`).
 */
export function findModeFault({ mode, isOwnedByRoot }: FileFacts): string | undefined {
  const others = isOwnedByRoot === true ? OTHERS & ~GROUP_READ : OTHERS;
  if ((mode & others) === 0 || isWindowsMode(mode)) return undefined;
  return `others may read it (mode ${mode.toString(8)})`;
}

/** Reports whether a mode carries no information, because Windows reports every file as 666 or 444. */
function isWindowsMode(mode: number): boolean {
  return sep === "\\" && (mode === 0o666 || mode === 0o444);
}
