/** The files of a data directory that a backup holds: all but the database, which comes as objects, and logs. */
import type { Stats } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { MAX_PART_BYTES } from "../../core/backup/manifest.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { ETCD_PLACE_NAME } from "../instance/data_dir.ts";

/** One file. */
export interface BackupFile {
  /** Below the data directory, with slashes. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** The database with what lies beside it, what a crash left half written, and logs with what was put aside of them. */
const LEFT_OUT = [/^tlsboot\.db(?:-.+)?$/, /\.tmp(?:-[^]*|\.\d+)?$/, /\.log(?:\.gz)?$/];

/**
 * Every file, by path. A link stands for what it leads to, as it does for a server. AppError `io` that names what is
 * neither file nor folder, leads nowhere or back into itself, or is larger than a backup can give back.
 */
export async function* readDataFiles(root: string): AsyncGenerator<BackupFile> {
  yield* walk(root, "", []);
}

async function* walk(root: string, below: string, above: readonly string[]): AsyncGenerator<BackupFile> {
  const here = await realpath(join(root, below));
  if (above.includes(here)) throw cannotTake(join(root, below), "it leads back to a folder that it is in");
  for (const name of (await readdir(here)).sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    const at = join(root, path);
    // Where the objects of this folder are says nothing of where they will be restored.
    if (path === ETCD_PLACE_NAME) continue;
    if (LEFT_OUT.some((pattern) => pattern.test(name)) && !await isFolder(at)) continue;
    const found = await look(at);
    if (found.isDirectory()) yield* walk(root, path, [...above, here]);
    else yield { path, mode: found.mode & 0o777, bytes: await readFile(at) };
  }
}

async function look(path: string): Promise<Stats> {
  const found = await stat(path).catch((error: unknown) => {
    throw cannotTake(path, getErrorMessage(error), error);
  });
  if (!found.isFile() && !found.isDirectory()) throw cannotTake(path, "it is neither a file nor a folder");
  if (found.isFile() && found.size > MAX_PART_BYTES) {
    throw cannotTake(path, `it has ${found.size} bytes, and no file in a backup may have more than ${MAX_PART_BYTES}`);
  }
  return found;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

function cannotTake(path: string, what: string, cause?: unknown): AppError {
  return new AppError("io", `cannot back up "${path}": ${what}`, {
    cause,
    hint: "mend it, or move it out of the data directory",
  });
}

/** Each backup would hold those before it. AppError `invalid` for a backup whose place is below the data directory. */
export async function assertOutside(root: string, target: string): Promise<void> {
  const path = join(await resolved(dirname(target)), basename(target));
  const steps = relative(await resolved(root), path).split(sep);
  if (steps[0] === "..") return;
  throw new AppError("invalid", `cannot write backup "${target}": it is inside the data directory "${root}"`, {
    hint: "keep backups elsewhere, best on another machine: each would hold those before it",
  });
}

/** What is not there has no links in it; whoever opens it says so. */
function resolved(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
