/** Reads the objects of a backup from an etcd, from the running server of a data directory, or from its database. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { countOmitted, type OmittedResource } from "../../../instance/backup/manifest.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import { encodeSnapshot, SNAPSHOT_PATH, SNAPSHOT_TYPE } from "../../../server/http/snapshot.ts";
import { STORED_RESOURCES } from "../../../server/registry/resources.ts";
import { createStoredValues } from "../../../server/registry/stored_values.ts";
import type { EtcdEndpoints } from "../../../server/storage/etcd/open.ts";
import { openSqliteStorage } from "../../../server/storage/sqlite/sqlite_storage.ts";
import { createApiClient } from "../../../client/objects/api.ts";
import { createFilePort } from "../../../client/files.ts";
import { connect, withAccept } from "../../api/connection.ts";
import type { Io } from "../../io.ts";
import type { DataDir } from "../../../instance/data_dir.ts";
import { assertOneInstance } from "./one_instance.ts";

/** The objects of an instance as lines of JSON. Disposing it closes the connection or the database. */
export interface SnapshotSource extends AsyncDisposable {
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** The source in words: `of the database`. */
  readonly origin: string;
  /** Objects in etcd whose kinds tlsboot does not serve; they are not backed up. */
  readonly omitted: readonly OmittedResource[];
  /** Objects that are backed up without fields that tlsboot does not know. */
  readonly pruned: readonly OmittedResource[];
}

const NOTHING_OMITTED = { omitted: [], pruned: [] };

/**
 * Opens the source. Throws AppError `not_found` for a folder without an instance, `ca_invalid` when the objects in etcd
 * belong to another instance, and the errors of storage and connection.
 */
export async function openSnapshot(
  dir: DataDir,
  endpoints: EtcdEndpoints | undefined,
  io: Io,
  signal: AbortSignal,
): Promise<SnapshotSource> {
  const holds = async (path: string) => await stat(path).catch(() => undefined) !== undefined;
  if (endpoints !== undefined) {
    if (await holds(dir.pki) || await holds(dir.etcdPlace)) return await readEtcd(dir, endpoints);
    throw new AppError("not_found", `cannot back up "${dir.root}": it is not a data directory of a server`, {
      hint: "name one with --data-dir: the CA in it belongs to the objects in etcd",
    });
  }
  if (!await holds(dir.database)) {
    throw new AppError("not_found", `cannot back up "${dir.root}": there is no database in it`, {
      hint: "name the folder of a server with --data-dir; for an instance on etcd give --etcd-servers",
    });
  }
  try {
    const storage = await openSqliteStorage({ path: dir.database, clock: io.clock });
    const { items, revision } = await storage.list("/registry/");
    return {
      ...NOTHING_OMITTED,
      origin: "of the database",
      chunks: encodeSnapshot(items, revision),
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    };
  } catch (error) {
    if (!isAppError(error, "storage_locked")) throw error;
    return await askServer(dir, io, signal);
  }
}

/** Reads all objects from etcd at one revision. It does not matter whether servers run. */
async function readEtcd(dir: DataDir, endpoints: EtcdEndpoints): Promise<SnapshotSource> {
  // Loaded on demand, so that instances with a database do not load it.
  const { readEtcdSnapshot } = await import("../../../server/storage/etcd/snapshot.ts");
  const { items, revision, omitted, pruned } = await readEtcdSnapshot({
    endpoints,
    values: createStoredValues(STORED_RESOURCES),
  });
  assertOneInstance({ items, caFile: await createFilePort().readText(dir.caCertificate), root: dir.root });
  return {
    origin: `of etcd at revision ${revision}`,
    chunks: encodeSnapshot(items, revision),
    omitted: countOmitted(omitted),
    pruned: countOmitted(pruned),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function askServer(dir: DataDir, io: Io, signal: AbortSignal): Promise<SnapshotSource> {
  const settings = { dataDir: dir.root, kubeconfig: join(dir.root, "admin.kubeconfig") };
  const connection = await connect(settings, io);
  try {
    const api = createApiClient(withAccept(connection.transport, SNAPSHOT_TYPE), { clock: io.clock });
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
    throw new AppError("unreachable", `cannot ask the server that uses "${dir.root}": ${getErrorMessage(error)}`, {
      cause: error,
      hint: "a program uses the database but its API does not answer: check its log, or stop it and try again",
    });
  }
}
