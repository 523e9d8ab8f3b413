/**
 * Reads the contents of a backup: the files of a data directory, except logs and the database, and the objects, from an
 * etcd, from the running server of the directory, or from its database.
 */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import type { Stats } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { countOmitted, FILES_PREFIX, findPathFault, MAX_PART_BYTES, type OmittedResource } from "./manifest.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import type { Clock, Transport } from "../../core/ports.ts";
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE, holdsOtherCa } from "../../core/token/cluster_info.ts";
import { encodeSnapshot, SNAPSHOT_PATH, SNAPSHOT_TYPE } from "../../server/http/snapshot.ts";
import type { EtcdEndpoints } from "../../server/storage/etcd/storage.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import { createApiClient, withAccept } from "../../client/objects/api.ts";
import type { FilePort } from "../../client/files.ts";
import { type DataDir, ETCD_PLACE_NAME } from "../data_dir.ts";
import { encodeTrust, parseAuthorityChain } from "../../core/pki/x509/ca_bundle.ts";
import { createStoredValues, STORED_RESOURCES } from "../../server/registry/mod.ts";
import type { Stored } from "../../server/mod.ts";

export interface BackupFile {
  /** The path below the data directory, with slashes. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/**
 * Files that are not backed up: the database with its journals, unfinished files after a crash, locks, and current and
 * rotated logs.
 */
const OMITTED_FILES = [/^tlsboot\.db(?:-.+)?$/, /\.tmp(?:-[^]*|\.\d+)?$/, /\.lock$/, /\.log(?:\.gz)?$/];

/**
 * Yields every file, sorted by path. Links are followed, as a server does. Throws AppError `io` with the path of an
 * entry that is neither a file nor a folder, of a broken or circular link, and of a file that is too large to restore.
 */
export async function* readDataFiles(root: string): AsyncGenerator<BackupFile> {
  yield* walk(root, "", []);
}

async function* walk(root: string, below: string, above: readonly string[]): AsyncGenerator<BackupFile> {
  const here = await realpath(join(root, below));
  if (above.includes(here)) throw createBackupError(join(root, below), "it leads back to a folder that contains it");
  for (const name of (await readdir(here)).sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    const at = join(root, path);
    // This file says where the objects are now, which will not be true after a restore.
    if (path === ETCD_PLACE_NAME) continue;
    if (OMITTED_FILES.some((pattern) => pattern.test(name)) && !await isFolder(at)) continue;
    if (findPathFault(`${FILES_PREFIX}${path}`) !== undefined) throw createBackupError(at, "its name has a backslash");
    const found = await readStats(at);
    if (found.isDirectory()) yield* walk(root, path, [...above, here]);
    else yield { path, mode: found.mode & 0o777, bytes: await readFile(at) };
  }
}

async function readStats(path: string): Promise<Stats> {
  const found = await stat(path).catch((error: unknown) => {
    throw createBackupError(path, getErrorMessage(error), error);
  });
  if (!found.isFile() && !found.isDirectory()) throw createBackupError(path, "it is neither a file nor a folder");
  if (found.isFile() && found.size > MAX_PART_BYTES) {
    throw createBackupError(
      path,
      `it has ${found.size} bytes, and no file in a backup may have more than ${MAX_PART_BYTES}`,
    );
  }
  return found;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

function createBackupError(path: string, what: string, cause?: unknown): AppError {
  return new AppError("io", `cannot back up "${path}": ${what}`, {
    cause,
    hint: "fix it, or move it out of the data directory",
  });
}

/**
 * Throws AppError `invalid` for a backup inside the data directory, because each backup would contain the earlier ones.
 */
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

/** The objects of an instance as lines of JSON. Disposing it closes the connection or the database. */
interface SnapshotSource extends AsyncDisposable {
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** The source in words: `of the database`. */
  readonly origin: string;
  /** Objects in etcd whose kinds tlsboot does not serve; they are not backed up. */
  readonly omitted: readonly OmittedResource[];
  /** Objects that are backed up without fields that tlsboot does not know. */
  readonly pruned: readonly OmittedResource[];
}

/** The ports for reading the objects. */
interface SourceDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  /** Connects as the administrator to the server that uses the data directory. */
  readonly connect: () => Promise<{ readonly transport: Transport } & AsyncDisposable>;
}

const NOTHING_OMITTED = { omitted: [], pruned: [] };

/**
 * Opens the source. Throws AppError `not_found` for a folder without an instance, `ca_invalid` when the objects in etcd
 * belong to another instance, and the errors of storage and connection.
 */
export async function openSnapshot(
  dir: DataDir,
  endpoints: EtcdEndpoints | undefined,
  deps: SourceDeps,
  signal: AbortSignal,
): Promise<SnapshotSource> {
  const exists = async (path: string) => await stat(path).catch(() => undefined) !== undefined;
  if (endpoints !== undefined) {
    if (await exists(dir.pki) || await exists(dir.etcdPlace)) return await readEtcd(dir, endpoints, deps.files);
    throw new AppError("not_found", `cannot back up "${dir.root}": it is not a data directory of a server`, {
      hint: "name one with the setting dataDir: the CA in it belongs to the objects in etcd",
    });
  }
  if (!await exists(dir.database)) {
    throw new AppError("not_found", `cannot back up "${dir.root}": there is no database in it`, {
      hint:
        "name the folder of a server with the setting dataDir; for an instance on etcd give the setting etcdServers",
    });
  }
  try {
    const storage = await openSqliteStorage({ path: dir.database, clock: deps.clock });
    const { items, revision } = await storage.list("/registry/");
    return {
      ...NOTHING_OMITTED,
      origin: "of the database",
      chunks: encodeSnapshot(items, revision),
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    };
  } catch (error) {
    if (!isAppError(error, "storage_locked")) throw error;
    return await askServer(dir, deps, signal);
  }
}

/** Reads all objects from etcd at one revision, even while servers run. */
async function readEtcd(dir: DataDir, endpoints: EtcdEndpoints, files: FilePort): Promise<SnapshotSource> {
  // Loaded on demand, so that instances with a database do not load it.
  const { readEtcdSnapshot } = await import("../../server/storage/etcd/snapshot.ts");
  const { items, revision, omitted, pruned } = await readEtcdSnapshot({
    endpoints,
    values: createStoredValues(STORED_RESOURCES),
  });
  assertOneInstance({ items, caFile: await files.readText(dir.caCertificate), root: dir.root });
  return {
    origin: `of etcd at revision ${revision}`,
    chunks: encodeSnapshot(items, revision),
    omitted: countOmitted(omitted),
    pruned: countOmitted(pruned),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function askServer(
  dir: DataDir,
  { clock, connect }: SourceDeps,
  signal: AbortSignal,
): Promise<SnapshotSource> {
  const connection = await connect();
  try {
    const api = createApiClient(withAccept(connection.transport, SNAPSHOT_TYPE), { clock });
    const { body } = await api.open({ method: "GET", path: SNAPSHOT_PATH }, signal);
    return {
      ...NOTHING_OMITTED,
      origin: "of the running server",
      chunks: body,
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    if (!isAppError(error, "unreachable")) throw error;
    throw new AppError("unreachable", `cannot query the server that uses "${dir.root}": ${getErrorMessage(error)}`, {
      cause: error,
      hint: "a program uses the database but its API does not answer: check its log, or stop it and try again",
    });
  }
}

const CLUSTER_INFO_KEY = `/registry/configmaps/${CLUSTER_INFO_NAMESPACE}/${CLUSTER_INFO_NAME}`;

/** The objects and the CA that a backup would combine. */
interface Sides {
  readonly items: readonly Pick<Stored, "key" | "object">[];
  /** The text of `pki/ca.crt`; undefined when there is none. */
  readonly caFile: string | undefined;
  /** The path of the folder, for messages. */
  readonly root: string;
}

/** Throws AppError `ca_invalid` when `cluster-info` and the folder have different CAs. */
export function assertOneInstance({ items, caFile, root }: Sides): void {
  const clusterInfo = items.find(({ key }) => key === CLUSTER_INFO_KEY)?.object;
  const chain = caFile === undefined ? undefined : parseAuthorityChain(caFile);
  if (clusterInfo === undefined || !chain?.ok || !holdsOtherCa(clusterInfo as ConfigMap, encodeTrust(chain.value))) {
    return;
  }
  throw new AppError(
    "ca_invalid",
    `cannot back up "${root}": the objects in etcd belong to an instance with another CA`,
    {
      hint:
        "name the folder of a server of that instance with the setting dataDir, or check the setting etcdServers and the setting etcdPrefix",
    },
  );
}
