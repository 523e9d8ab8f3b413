/** Restores a data directory from a backup. */
import { lstat } from "node:fs/promises";
import { resolve } from "node:path";
import { describeOmitted } from "../../../instance/backup/manifest.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { normalizePrefix } from "../../../server/storage/etcd/prefix.ts";
import { openWithProgress, readOpener } from "./encryption.ts";
import type { restoreCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io, Tools } from "../../io.ts";
import { displayPath } from "../../output/files.ts";
import { line } from "../../../core/lib/printable.ts";
import { startProgress } from "../../output/progress.ts";
import { warn } from "../../framework/report.ts";
import { dataDirAt } from "../../../instance/data_dir.ts";
import { readEtcdEndpoints, readEtcdPlace } from "../../../instance/storage/etcd.ts";
import { createEtcdTarget, restoreBackup, type RestoredBackup } from "../../../instance/backup/restore_backup.ts";
import { connect } from "../../connection.ts";

export async function run(input: Input<typeof restoreCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings, args: [name = ""] } = input;
  const path = resolve(tools.cwd, name);
  if (await lstat(path).catch(() => undefined) === undefined) {
    throw new AppError("not_found", `cannot read backup "${name}": no such file`, { hint: "check the path" });
  }
  const isForEtcd = settings.etcdServers.length > 0;
  const etcd = isForEtcd ? createEtcdTarget(await readEtcdEndpoints(settings, tools), tools.clock) : undefined;
  const opener = await readOpener(settings, name, tools);
  const root = resolve(tools.cwd, settings.dataDir);
  const current = await readEtcdPlace(dataDirAt(root), tools.files);
  using progress = startProgress(tools, READING);
  const archive = await openWithProgress(path, opener, READING, progress);
  const restored = await restoreBackup(archive, root, {
    clock: tools.clock,
    force: settings.force,
    forceEtcd: settings.forceEtcd,
    etcd,
    current,
    findServer: () => findServer(root, tools),
    onProgress: (doing) => progress.update(DOING[doing]),
  });
  progress[Symbol.dispose]();
  reportRestored(restored, root, isForEtcd ? normalizePrefix(settings.etcdPrefix) : undefined, tools);
  return EXIT.done;
}

const READING = "reading the backup";
const DOING = { checking: "checking the contents", writing: "writing to etcd" } as const;

function reportRestored(
  { manifest, revision, replaced, aside }: RestoredBackup,
  root: string,
  prefix: string | undefined,
  io: Io,
): void {
  const show = (at: string) => displayPath(at, io.cwd);
  const { createdAt, objects, omitted = [] } = manifest;
  const where = prefix === undefined
    ? line`${objects} objects as of ${createdAt}; resource versions continue from ${revision}`
    : line`${objects} objects as of ${createdAt}, in etcd below ${prefix}; resource versions are etcd's, now ${revision}`;
  io.stdout.write(line`${show(root)}: ${where}\n`);
  if (replaced !== undefined) io.stdout.write(line`the previous folder is now ${show(replaced)}\n`);
  for (const place of aside) io.stdout.write(line`the previous keys in etcd are now below ${place}/\n`);
  warn(`the backup has no revocations after ${createdAt}: revoke those again (tlsboot revoke)`, io);
  if (omitted.length > 0) warn(`the backup does not have: ${describeOmitted(omitted)}`, io);
  if (prefix === undefined || revision >= manifest.revision) return;
  warn(
    `etcd's revisions continue below the old ${manifest.revision}: restart the clients that are disconnected now, unless they ` +
      "reconnect before etcd passes the revision that they know",
    io,
  );
}

/** The timeout for a running server to answer, in milliseconds. */
const ANSWER_MS = 3_000;

/** Finds the address at which a server of an instance answers; undefined when none does. */
async function findServer(root: string, tools: Tools): Promise<string | undefined> {
  try {
    await using connection = await connect({ dataDir: root, kubeconfig: undefined }, tools);
    const soon = AbortSignal.any([tools.signal, AbortSignal.timeout(ANSWER_MS)]);
    await connection.api.requestJson({ method: "GET", path: "/version" }, soon).catch((error: unknown) => {
      // A refusal also shows that a server is running.
      if (!isAppError(error, "unauthorized", "access_denied", "api_error")) throw error;
    });
    return connection.cluster.server;
  } catch {
    tools.signal.throwIfAborted();
    return undefined;
  }
}
