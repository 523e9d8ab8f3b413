/** The files of a data directory that a backup contains: all but logs and the database, whose objects are stored apart. */
import type { Stats } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { FILES_PREFIX, findPathFault, MAX_PART_BYTES } from "./manifest.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { ETCD_PLACE_NAME } from "../data_dir.ts";

export interface BackupFile {
  /** The path below the data directory, with slashes. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/**
 * Files that are not backed up: the database with its journals, unfinished files after a crash, locks, and logs, also
 * rotated ones.
 */
const LEFT_OUT = [/^tlsboot\.db(?:-.+)?$/, /\.tmp(?:-[^]*|\.\d+)?$/, /\.lock$/, /\.log(?:\.gz)?$/];

/**
 * Yields every file, sorted by path. Links are followed, as a server follows them. Throws AppError `io` with the path of
 * an entry that is neither a file nor a folder, of a broken or circular link, and of a file that is too large to restore.
 */
export async function* readDataFiles(root: string): AsyncGenerator<BackupFile> {
  yield* walk(root, "", []);
}

async function* walk(root: string, below: string, above: readonly string[]): AsyncGenerator<BackupFile> {
  const here = await realpath(join(root, below));
  if (above.includes(here)) throw cannotBackUp(join(root, below), "it leads back to a folder that contains it");
  for (const name of (await readdir(here)).sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    const at = join(root, path);
    // The note on where the objects are now does not apply to the place where they will be restored.
    if (path === ETCD_PLACE_NAME) continue;
    if (LEFT_OUT.some((pattern) => pattern.test(name)) && !await isFolder(at)) continue;
    if (findPathFault(`${FILES_PREFIX}${path}`) !== undefined) throw cannotBackUp(at, "its name has a backslash");
    const found = await readStats(at);
    if (found.isDirectory()) yield* walk(root, path, [...above, here]);
    else yield { path, mode: found.mode & 0o777, bytes: await readFile(at) };
  }
}

async function readStats(path: string): Promise<Stats> {
  const found = await stat(path).catch((error: unknown) => {
    throw cannotBackUp(path, getErrorMessage(error), error);
  });
  if (!found.isFile() && !found.isDirectory()) throw cannotBackUp(path, "it is neither a file nor a folder");
  if (found.isFile() && found.size > MAX_PART_BYTES) {
    throw cannotBackUp(
      path,
      `it has ${found.size} bytes, and no file in a backup may have more than ${MAX_PART_BYTES}`,
    );
  }
  return found;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

function cannotBackUp(path: string, what: string, cause?: unknown): AppError {
  return new AppError("io", `cannot back up "${path}": ${what}`, {
    cause,
    hint: "fix it, or move it out of the data directory",
  });
}

/** Throws AppError `invalid` for a backup below the data directory: each backup would contain the ones before it. */
export async function assertOutside(root: string, target: string): Promise<void> {
  const path = join(await resolveLinks(dirname(target)), basename(target));
  const steps = relative(await resolveLinks(root), path).split(sep);
  if (steps[0] === "..") return;
  throw new AppError("invalid", `cannot write backup "${target}": it is inside the data directory "${root}"`, {
    hint: "keep backups elsewhere, ideally on another machine: otherwise each would contain the earlier ones",
  });
}

/** Resolves the links in a path. A path that does not exist is returned as it is; opening it reports the error. */
function resolveLinks(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
