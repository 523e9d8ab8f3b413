/**
 * Restores a data directory: builds it completely next to its final path, reads it as a server would, and only then
 * renames it. The old folder is kept next to the new one. The objects may be written to an etcd instead.
 */
import { hash } from "node:crypto";
import { chown, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { BackupFile } from "./source.ts";
import { createBackupInvalidError, readBackup } from "./archive.ts";
import { removeUnfinished, toIoError } from "./write_backup.ts";
import { createFilePort, FOLDER_MODE, PUBLIC_MODE, syncDirectory } from "../../client/files.ts";
import { type BackupManifest, formatManifest, REVISION_BUMP } from "./manifest.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { createStoredValues, STORED_RESOURCES } from "../../server/registry/mod.ts";
import type { EtcdEndpoints } from "../../server/storage/etcd/storage.ts";
import type { EtcdRestore } from "../../server/storage/etcd/restore.ts";
import { createRestoredDatabase, openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import type { Stored } from "../../server/mod.ts";
import { dataDirAt, toRestoringPath } from "../data_dir.ts";
import { type EtcdPlace, formatEtcdPlace } from "../storage/etcd.ts";

export interface RestoredBackup {
  readonly manifest: BackupManifest;
  /** The latest revision after the restore. */
  readonly revision: number;
  /** The new path of the old folder; undefined when there was none. */
  readonly replaced: string | undefined;
  /** The prefixes in etcd to which the old keys were moved. */
  readonly aside: readonly string[];
}

interface RestoreDeps {
  readonly clock: Clock;
  /** Allows moving an existing folder aside. */
  readonly force: boolean;
  /** Allows moving existing keys in etcd aside. */
  readonly forceEtcd?: boolean;
  /** The etcd to write the objects to; undefined for a database in the folder. */
  readonly etcd?: EtcdTarget | undefined;
  /** The etcd that has the objects of the existing folder, if any. */
  readonly current?: EtcdPlace | undefined;
  /**
   * Finds the address of a running server of the existing folder. Called only if the folder's objects are in an etcd.
   */
  readonly findServer?: () => Promise<string | undefined>;
  /** Called before the restored objects are checked, and before they are written to an etcd. */
  readonly onProgress?: (doing: "checking" | "writing") => void;
  readonly disk?: SwapDisk;
}

/**
 * Restores into `root`. Throws AppError `file_exists` when the folder is not empty and `force` is not set,
 * `storage_locked` while a server uses it, `backup_invalid` and `io`; nothing in the folder has changed then. An etcd is
 * not changed until the objects are written. From then on a marker keeps servers from starting, and the same call resumes.
 */
export async function restoreBackup(
  archive: AsyncIterable<Uint8Array>,
  root: string,
  deps: RestoreDeps,
): Promise<RestoredBackup> {
  const { clock, force, forceEtcd = false, etcd, current, disk = DISK } = deps;
  const now = clock.now();
  const staging = toRestoringPath(root);
  const isTaken = await isNonEmpty(root);
  // Only etcd and the backup show whether an interrupted restore put the folder there, and they are read later.
  if (isTaken && !force && (etcd === undefined || current?.backup === undefined)) throw createNotEmptyError(root);
  await assertUnused(root, deps);
  try {
    await rm(staging, { recursive: true, force: true });
    await createFilePort().makeDirectory(dirname(root), FOLDER_MODE);
    await mkdir(staging, { mode: FOLDER_MODE });
    const { manifest, revision, objects } = await buildAndCheck(archive, staging, now, deps).catch((error: unknown) => {
      // The storage's message and hint are for a running server, and none runs here.
      throw isAppError(error, "io") ? toIoError(`cannot restore into "${root}"`, error.cause ?? error) : error;
    });
    const replaced = isTaken ? `${root}.replaced-${now.toISOString().replaceAll(/[:.]/g, "-")}` : undefined;
    if (etcd === undefined) {
      const swap = { staging, root, replaced };
      await putInPlace(swap, disk);
      await disk.sync(dirname(root)).catch((error: unknown) => {
        throw createNotSyncedError(swap, error);
      });
      return { manifest, revision, replaced, aside: [] };
    }
    const backup = hash("sha256", formatManifest(manifest));
    const place = formatEtcdPlace({ ...etcd.place, backup });
    await using restore = await etcd.open({ backup, createdAt: manifest.createdAt, force: forceEtcd });
    const isInPlace = restore.isResumed && current !== undefined && formatEtcdPlace(current) === place;
    if (isTaken && !force && !isInPlace) throw createNotEmptyError(root);
    deps.onProgress?.("writing");
    const written = await restore.write(objects);
    if (isInPlace) {
      await rm(staging, { recursive: true });
    } else {
      await replaceDatabaseByEtcd(staging, place);
      await putInPlace({ staging, root, replaced }, disk);
      // If this fails, the marker stays, and the same call resumes.
      await disk.sync(dirname(root));
    }
    await restore.finish();
    return { manifest, ...written, replaced: isInPlace ? undefined : replaced };
  } catch (error) {
    await removeUnfinished(staging);
    throw toIoError(`cannot restore into "${root}"`, error);
  }
}

function createNotEmptyError(root: string): AppError {
  return new AppError("file_exists", `cannot restore into "${root}": the folder is not empty`, {
    hint: "choose another folder with the setting dataDir, or move it aside with the setting force",
  });
}

async function buildAndCheck(
  archive: AsyncIterable<Uint8Array>,
  staging: string,
  now: Date,
  { clock, onProgress }: RestoreDeps,
) {
  const { manifest, revision } = await build(archive, staging, now);
  onProgress?.("checking");
  return { manifest, revision, objects: await verifyObjects(staging, manifest, revision, clock) };
}

async function build(archive: AsyncIterable<Uint8Array>, staging: string, now: Date) {
  using database = createRestoredDatabase(dataDirAt(staging).database, now);
  const manifest = await readBackup(archive, {
    file: (file) => writeFile(staging, file),
    objects: (objects) => database.add(objects),
  });
  const revision = manifest.revision + REVISION_BUMP;
  await database.finish(revision);
  return { manifest, revision };
}

/** Removes the database, and records the etcd that has the objects instead. */
async function replaceDatabaseByEtcd(staging: string, place: string): Promise<void> {
  const { database, etcdPlace } = dataDirAt(staging);
  for (const suffix of ["", "-wal", "-shm", "-journal"]) await rm(`${database}${suffix}`, { force: true });
  await rm(etcdPlace, { force: true });
  await writeFile(staging, {
    path: basename(etcdPlace),
    mode: PUBLIC_MODE,
    bytes: new TextEncoder().encode(place),
  });
}

async function putInPlace(swap: Swap, disk: SwapDisk): Promise<void> {
  await copyOwner(swap.staging, swap.root);
  await syncFolders(swap.staging, disk);
  // From now on, a server that starts while the old folder is moved aside finds the interrupted restore.
  await disk.sync(dirname(swap.staging));
  await swapFolders(swap, disk);
}

/** Creates the error for a complete restore that may not survive a power failure. */
function createNotSyncedError({ root, replaced }: Swap, cause: unknown): AppError {
  const before = replaced === undefined ? "" : `; the old folder is "${replaced}"`;
  return new AppError("io", `cannot sync the folder of "${root}": ${getErrorMessage(cause)}`, {
    cause,
    hint: `it is restored, but a power failure may undo that: check the disk and run sync${before}`,
  });
}

async function writeFile(staging: string, { path, mode, bytes }: BackupFile): Promise<void> {
  const target = join(staging, path);
  await mkdir(dirname(target), { recursive: true, mode: FOLDER_MODE });
  const file = await open(target, "wx", mode);
  try {
    await file.writeFile(bytes);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Opens the database like a server, which checks its pages and rows, and checks the number of objects and the revision.
 */
async function verifyObjects(
  staging: string,
  manifest: BackupManifest,
  revision: number,
  clock: Clock,
): Promise<readonly Stored[]> {
  await using storage = await openSqliteStorage({ path: dataDirAt(staging).database, clock });
  const { items } = await storage.list("/registry/");
  if (items.length !== manifest.objects || storage.revision() !== revision) {
    throw createBackupInvalidError(`its database has ${items.length} of ${manifest.objects} objects after the restore`);
  }
  return items;
}

/**
 * Throws AppError `storage_locked` while a server runs, because it would continue to write into the folder that is
 * moved away.
 */
async function assertUnused(root: string, { clock, current, findServer }: RestoreDeps): Promise<void> {
  const { database } = dataDirAt(root);
  const server = current === undefined ? undefined : await findServer?.();
  if (server !== undefined) {
    throw new AppError("storage_locked", `cannot restore into "${root}": its server answers at ${server}`, {
      hint: "stop it first, and every other server of the instance",
    });
  }
  if (await stat(database).catch(() => undefined) === undefined) return;
  try {
    await using _ = await openSqliteStorage({ path: database, clock });
  } catch (error) {
    // A database that cannot be opened may be the reason for the restore.
    if (!isAppError(error, "storage_locked")) return;
    throw new AppError("storage_locked", `cannot restore into "${root}": a server is using it`, {
      cause: error,
      hint: "stop it first",
    });
  }
}

async function isNonEmpty(root: string): Promise<boolean> {
  const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw toIoError(`cannot restore into "${root}"`, error);
  });
  return names.length > 0;
}

/** Gives the new files to the owner of the old folder, in case the restore runs as root. */
async function copyOwner(staging: string, root: string): Promise<void> {
  const owner = await stat(root).catch(() => undefined);
  const own = await stat(staging);
  if (owner === undefined || (owner.uid === own.uid && owner.gid === own.gid)) return;
  const entries = await readdir(staging, { recursive: true });
  for (const path of [staging, ...entries.map((entry) => join(staging, entry))]) {
    await chown(path, owner.uid, owner.gid);
  }
}

/** Syncs all folders, because a crash must not lose names in them once the old folder is moved aside. */
async function syncFolders(path: string, { sync }: Pick<SwapDisk, "sync">): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolders(join(path, entry.name), { sync });
  }
  await sync(path);
}

export interface EtcdTarget {
  readonly place: EtcdPlace;
  open(what: { readonly backup: string; readonly createdAt: string; readonly force: boolean }): Promise<
    Pick<EtcdRestore, "isResumed" | "write" | "finish"> & AsyncDisposable
  >;
}

/** Creates the target for the etcd that the settings name. */
export function createEtcdTarget(endpoints: EtcdEndpoints, clock: Clock): EtcdTarget {
  const { servers, prefix } = endpoints;
  return {
    place: { servers, prefix },
    async open(what) {
      // Loaded on demand, so that instances with a database do not load it.
      const { EtcdRestore } = await import("../../server/storage/etcd/restore.ts");
      return await EtcdRestore.open({ ...what, endpoints, values: createStoredValues(STORED_RESOURCES), clock });
    },
  };
}

/** The paths of the folders of a swap. */
export interface Swap {
  /** The path of the new folder. */
  readonly staging: string;
  /** The final path of the new folder. */
  readonly root: string;
  /** The new path of the old folder; undefined when there is none. */
  readonly replaced: string | undefined;
}

/** The operations on the disk that put a folder in place. */
export interface SwapDisk {
  readonly move: typeof rename;
  readonly sync: typeof syncDirectory;
}

const DISK: SwapDisk = { move: rename, sync: syncDirectory };

/** Swaps the folders. After AppError `io` both are in their old places, or the error names the new ones. */
export async function swapFolders(
  { staging, root, replaced }: Swap,
  { move, sync }: SwapDisk,
): Promise<void> {
  if (replaced !== undefined) await move(root, replaced);
  try {
    // Otherwise a power failure could lose the old folder although the new one has taken its place.
    if (replaced !== undefined) await sync(dirname(root));
    await move(staging, root);
  } catch (error) {
    if (replaced !== undefined) await moveBack(replaced, root, error, move);
    throw toIoError(`cannot put "${staging}" in place of "${root}"`, error);
  }
}

async function moveBack(replaced: string, root: string, cause: unknown, move: typeof rename): Promise<void> {
  try {
    await move(replaced, root);
  } catch (error) {
    throw new AppError(
      "io",
      `cannot restore into "${root}": ${getErrorMessage(cause)}; moving it back failed too: ${getErrorMessage(error)}`,
      {
        cause,
        hint: `the old folder is "${replaced}": move it back by hand`,
      },
    );
  }
}
