/**
 * Restores a data directory: built whole beside its place, read as a server would read it, and only then put there by one
 * rename. What was there before is kept beside it. Its objects may go on into an etcd.
 */
import { createHash } from "node:crypto";
import { chown, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "../../client/files.ts";
import { type BackupManifest, formatManifest, REVISION_BUMP } from "../../core/backup/manifest.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { kubeValues } from "../../server/registry/stored_values.ts";
import type { EtcdEndpoints } from "../../server/storage/etcd/open.ts";
import type { EtcdRestore } from "../../server/storage/etcd/restore.ts";
import { createRestoredDatabase } from "../../server/storage/sqlite/restore.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import type { Stored } from "../../server/storage/storage.ts";
import { dataDirAt, FOLDER_MODE, PUBLIC_MODE } from "../instance/data_dir.ts";
import { type EtcdPlace, formatEtcdPlace } from "../instance/etcd_place.ts";
import type { BackupFile } from "./files.ts";
import { backupInvalid, readBackup } from "./read.ts";
import { type Swap, swapFolders } from "./swap.ts";
import { removeRest, toIoError } from "./write.ts";

/** What a restore did. */
export interface Restored {
  readonly manifest: BackupManifest;
  /** The newest revision from now on. */
  readonly revision: number;
  /** Where what was there before is now; undefined where nothing was. */
  readonly replaced: string | undefined;
  /** Prefixes of the etcd that hold what was there before. */
  readonly aside: readonly string[];
}

/** What it needs. */
export interface RestoreDeps {
  readonly clock: Clock;
  /** Puts aside what is in the folder. */
  readonly force: boolean;
  /** Puts aside what is in the etcd. */
  readonly forceEtcd?: boolean;
  /** Where the objects go; undefined for a database in the folder. */
  readonly etcd?: EtcdTarget | undefined;
  /** Where the objects of what is there now are, if in an etcd. */
  readonly current?: EtcdPlace | undefined;
  /** Answers where a server of what is there now answers; only asked where its objects are in an etcd. */
  readonly findServer?: () => Promise<string | undefined>;
  /** Called when the backup has been read and its objects are read again, and when they are written to an etcd. */
  readonly onProgress?: (doing: "checking" | "writing") => void;
}

/**
 * Restores into `root`. AppError `file_exists` where something is there, without `force`; `storage_locked` while a server
 * uses it; `backup_invalid`, `io`: then nothing has changed there. In an etcd everything is as it was until
 * its objects are written; from then on a marker keeps servers away, and the same call goes on.
 */
export async function restoreBackup(
  archive: AsyncIterable<Uint8Array>,
  root: string,
  deps: RestoreDeps,
): Promise<Restored> {
  const { clock, force, forceEtcd = false, etcd, current } = deps;
  const now = clock.now();
  const staging = `${root}.restoring`;
  const isTaken = await holdsSomething(root);
  // Whether it is what an interrupted restore has put there, is known once etcd and the backup have been looked at.
  if (isTaken && !force && (etcd === undefined || current?.backup === undefined)) throw takenError(root);
  await assertUnused(root, deps);
  try {
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { recursive: true, mode: FOLDER_MODE });
    const { manifest, revision, objects } = await make(archive, staging, now, deps).catch((error: unknown) => {
      // The storage speaks of a server that goes on; nothing does here.
      throw isAppError(error, "io") ? toIoError(`cannot restore into "${root}"`, error.cause ?? error) : error;
    });
    const replaced = isTaken ? `${root}.replaced-${now.toISOString().replaceAll(/[:.]/g, "-")}` : undefined;
    if (etcd === undefined) {
      const swap = { staging, root, replaced };
      await putInPlace(swap);
      await syncDirectory(dirname(root)).catch((error: unknown) => {
        throw unsureError(swap, error);
      });
      return { manifest, revision, replaced, aside: [] };
    }
    const backup = createHash("sha256").update(formatManifest(manifest)).digest("hex");
    const place = formatEtcdPlace({ ...etcd.place, backup });
    await using restore = await etcd.open({ backup, createdAt: manifest.createdAt, force: forceEtcd });
    const isInPlace = restore.isResumed && current !== undefined && formatEtcdPlace(current) === place;
    if (isTaken && !force && !isInPlace) throw takenError(root);
    deps.onProgress?.("writing");
    const written = await restore.write(objects);
    if (isInPlace) {
      await rm(staging, { recursive: true });
    } else {
      await turnToEtcd(staging, place);
      await putInPlace({ staging, root, replaced });
      // Where it fails the marker stays, and the same call goes on.
      await syncDirectory(dirname(root));
    }
    await restore.finish();
    return { manifest, ...written, replaced: isInPlace ? undefined : replaced };
  } catch (error) {
    await removeRest(staging);
    throw toIoError(`cannot restore into "${root}"`, error);
  }
}

function takenError(root: string): AppError {
  return new AppError("file_exists", `cannot restore into "${root}": the folder is not empty`, {
    hint: "choose another --data-dir, or put it aside with --force",
  });
}

async function make(
  archive: AsyncIterable<Uint8Array>,
  staging: string,
  now: Date,
  { clock, onProgress }: RestoreDeps,
) {
  const { manifest, revision } = await build(archive, staging, now);
  onProgress?.("checking");
  return { manifest, revision, objects: await readAgain(staging, manifest, revision, clock) };
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

/** The objects are elsewhere: the database goes, and a note says where. */
async function turnToEtcd(staging: string, place: string): Promise<void> {
  const { database, etcdPlace } = dataDirAt(staging);
  for (const suffix of ["", "-wal", "-shm", "-journal"]) await rm(`${database}${suffix}`, { force: true });
  await rm(etcdPlace, { force: true });
  await writeFile(staging, {
    path: basename(etcdPlace),
    mode: PUBLIC_MODE,
    bytes: new TextEncoder().encode(place),
  });
}

async function putInPlace(swap: Swap): Promise<void> {
  await giveTo(swap.staging, swap.root);
  await syncFolders(swap.staging);
  await swapFolders(swap);
}

/** Everything is done, and nobody may say that nothing is. */
function unsureError({ root, replaced }: Swap, cause: unknown): AppError {
  const before = replaced === undefined ? "" : `; what was there before is in "${replaced}"`;
  return new AppError("io", `cannot make sure that the disk keeps "${root}": ${getErrorMessage(cause)}`, {
    cause,
    hint: `it is restored, but a power cut may take it back: look after the disk and run sync${before}`,
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

/** The database as a server opens it: its pages, every row's sum, how many objects, and the counter. */
async function readAgain(
  staging: string,
  manifest: BackupManifest,
  revision: number,
  clock: Clock,
): Promise<readonly Stored[]> {
  await using storage = await openSqliteStorage({ path: dataDirAt(staging).database, clock });
  const { items } = await storage.list("/registry/");
  if (items.length !== manifest.objects || storage.revision() !== revision) {
    throw backupInvalid(`its database came out with ${items.length} of ${manifest.objects} objects`);
  }
  return items;
}

/** A server that runs would go on writing into a folder that is no longer there. */
async function assertUnused(root: string, { clock, current, findServer }: RestoreDeps): Promise<void> {
  const { database } = dataDirAt(root);
  const server = current === undefined ? undefined : await findServer?.();
  if (server !== undefined) {
    throw new AppError("storage_locked", `cannot restore into "${root}": a server of it answers at ${server}`, {
      hint: "stop it first, and every other server of the instance",
    });
  }
  if (await stat(database).catch(() => undefined) === undefined) return;
  try {
    await using _ = await openSqliteStorage({ path: database, clock });
  } catch (error) {
    // What cannot be opened is what somebody restores for.
    if (!isAppError(error, "storage_locked")) return;
    throw new AppError("storage_locked", `cannot restore into "${root}": a server is using it`, {
      cause: error,
      hint: "stop it first",
    });
  }
}

async function holdsSomething(root: string): Promise<boolean> {
  const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw toIoError(`cannot restore into "${root}"`, error);
  });
  return names.length > 0;
}

/** Root restores for the user whose folder it was. */
async function giveTo(staging: string, root: string): Promise<void> {
  const owner = await stat(root).catch(() => undefined);
  const own = await stat(staging);
  if (owner === undefined || (owner.uid === own.uid && owner.gid === own.gid)) return;
  const entries = await readdir(staging, { recursive: true });
  for (const path of [staging, ...entries.map((entry) => join(staging, entry))]) {
    await chown(path, owner.uid, owner.gid);
  }
}

/** The names of what is in it, which a crash must not take once the old folder has gone aside. */
async function syncFolders(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolders(join(path, entry.name));
  }
  await syncDirectory(path);
}

/** Where, and how to begin there. */
export interface EtcdTarget {
  readonly place: EtcdPlace;
  open(what: { readonly backup: string; readonly createdAt: string; readonly force: boolean }): Promise<
    Pick<EtcdRestore, "isResumed" | "write" | "finish"> & AsyncDisposable
  >;
}

/** The etcd that the flags name. */
export function createEtcdTarget(endpoints: EtcdEndpoints, clock: Clock): EtcdTarget {
  const { servers, prefix } = endpoints;
  return {
    place: { servers, prefix },
    async open(what) {
      // Loaded here, so that an instance with a database of its own does without.
      const { EtcdRestore } = await import("../../server/storage/etcd/restore.ts");
      return await EtcdRestore.open({ ...what, endpoints, values: kubeValues(STORED_RESOURCES), clock });
    },
  };
}
