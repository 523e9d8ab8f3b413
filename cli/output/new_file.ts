/** New files: one with a token never replaces another file, and other files do so only with `--force`. */
import { dirname } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../instance/data_dir.ts";
import type { Io } from "../io.ts";
import { displayPath } from "./display_path.ts";
import { line } from "../../core/lib/printable.ts";

/** Throws AppError `file_exists` when one of the files exists, because none is ever replaced. */
export async function assertNoFiles(paths: readonly string[], files: Pick<FilePort, "lstat">): Promise<void> {
  for (const path of paths) {
    if (await files.lstat(path) === undefined) continue;
    throw new AppError("file_exists", `cannot write "${path}": it exists`, {
      hint: "remove it if its machine no longer needs it, or choose another path with --out",
    });
  }
}

/** Throws AppError `file_exists` when a file exists and is not to be replaced. `what` is the content, such as "certificate". */
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

/** Writes a text with a token to a new file and prints its path, or prints the text if there is no path. */
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
