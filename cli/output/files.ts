/**
 * Files that commands read and write: their paths in messages, stdin instead of a file, and the checks before an
 * existing file is replaced. A file with a token never replaces another file; other files do so only with `--force`.
 */
import { dirname, relative, resolve } from "node:path";
import { line, shellWord } from "../../core/lib/printable.ts";
import { type FilePort, FOLDER_MODE, readNamedFile, SECRET_MODE } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import type { Io, Tools } from "../io.ts";

/**
 * Returns a path below the current folder relative to it, and others unchanged. If the folder is `/`, as in a service, paths
 * stay absolute, because readers of a log do not know the folder.
 */
export function displayPath(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return cwd === "/" || short === "" || short.startsWith("..") ? path : short;
}

/** Returns the same path, quoted for a shell, for commands that users copy from a message. */
export function pathWord(path: string, cwd: string): string {
  return shellWord(displayPath(path, cwd));
}

/** Reads a file that the user gave, or stdin for `-`. Throws AppError as `readNamedFile` does. */
export async function readInput(
  file: string,
  maxBytes: number,
  { stdin, cwd, signal }: Pick<Tools, "stdin" | "cwd" | "signal">,
): Promise<Uint8Array<ArrayBuffer>> {
  if (file === "-") return new TextEncoder().encode(await stdin.readAll(signal));
  return await readNamedFile(file, { path: resolve(cwd, file), maxBytes }, signal);
}

/** Throws AppError `file_exists` if one of the files exists. */
export async function assertNoFiles(paths: readonly string[], files: Pick<FilePort, "lstat">): Promise<void> {
  for (const path of paths) {
    if (await files.lstat(path) === undefined) continue;
    throw new AppError("file_exists", `cannot write "${path}": it exists`, {
      hint: "remove it if its machine no longer needs it, or choose another path with --out",
    });
  }
}

/** Throws AppError `file_exists` if a file exists, unless `isForced`. `what` is the content, such as "certificate". */
export async function assertReplaceable(
  what: string,
  path: string,
  isForced: boolean,
  files: Pick<FilePort, "lstat">,
): Promise<void> {
  if (isForced || await files.lstat(path) === undefined) return;
  throw new AppError("file_exists", `cannot write ${what} "${path}": it exists`, {
    hint: "replace it with --force, or choose another path with --out",
  });
}

/** Writes a text with a token to a new file and prints its path. Without a path, prints the text. */
export async function handOut(
  text: string,
  path: string | undefined,
  files: Pick<FilePort, "makeDirectory" | "createExclusive">,
  io: Io,
): Promise<void> {
  if (path === undefined) {
    io.stdout.write(text);
    return;
  }
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  await files.createExclusive(path, text, SECRET_MODE);
  io.stdout.write(line`${displayPath(path, io.cwd)}\n`);
}
