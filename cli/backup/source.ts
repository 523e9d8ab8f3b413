/** Where the objects of a backup come from: the server that runs over a data directory, or its database where none does. */
import { join } from "node:path";
import { AppError, isAppError, messageOf } from "../../core/errors.ts";
import { chunksOf, SNAPSHOT_PATH, SNAPSHOT_TYPE } from "../../server/http/snapshot.ts";
import { openSqliteStorage } from "../../server/storage/sqlite.ts";
import { connect, withAccept } from "../connection.ts";
import { createApi } from "../../client/api.ts";
import type { Io } from "../io.ts";
import { type DataDir, dataDirAt } from "../site/data_dir.ts";
import { stat } from "node:fs/promises";

/** Objects in lines, in pieces of any size. Disposing it lets the server or the database go. */
export interface SnapshotSource extends AsyncDisposable {
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** A server is at work on the data directory. */
  readonly isOnline: boolean;
}

/** Opens it. AppError `not_found` for a folder without a database, and what storage and connection throw. */
export async function openSnapshot(root: string, io: Io, signal: AbortSignal): Promise<SnapshotSource> {
  const dir = dataDirAt(root);
  if (await stat(dir.database).catch(() => undefined) === undefined) {
    throw new AppError("not_found", `cannot back up "${root}": there is no database in it`, {
      hint: "name the folder of a server with --data-dir; a site on etcd is saved with `etcdctl snapshot save`",
    });
  }
  try {
    const storage = await openSqliteStorage({ path: dir.database, clock: io.clock });
    const { items, revision } = await storage.list("/registry/");
    return {
      isOnline: false,
      chunks: chunksOf(items, revision),
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    };
  } catch (error) {
    if (!isAppError(error, "storage_locked")) throw error;
    return await askServer(dir, io, signal);
  }
}

async function askServer(dir: DataDir, io: Io, signal: AbortSignal): Promise<SnapshotSource> {
  const settings = { dataDir: dir.root, kubeconfig: join(dir.root, "admin.kubeconfig") };
  const connection = await connect(settings, io);
  try {
    const api = createApi(withAccept(connection.transport, SNAPSHOT_TYPE), { clock: io.clock });
    const { body } = await api.open({ method: "GET", path: SNAPSHOT_PATH }, signal);
    return { isOnline: true, chunks: body, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    if (!isAppError(error, "unreachable")) throw error;
    throw new AppError("unreachable", `cannot ask the server that uses "${dir.root}": ${messageOf(error)}`, {
      cause: error,
      hint: "a program holds the database but its API does not answer: look at its log, or stop it and try again",
    });
  }
}
