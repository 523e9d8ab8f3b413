/** Writes a backup, or verifies one. */
import { lstat } from "node:fs/promises";
import { resolve } from "node:path";
import { describeOmitted, type OmittedResource } from "../../../instance/backup/manifest.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { TLSBOOT_VERSION } from "../../../core/version.ts";
import { openWithProgress } from "./open_with_progress.ts";
import { readOpener, readRecipients } from "./keys.ts";
import type { BackupFlags } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { DERIVING_KEY, formatMegabytes, type ProgressLine, startProgress } from "../../output/progress.ts";
import { warn } from "../../framework/report.ts";
import { DATA_FORMAT, dataDirAt } from "../../../instance/data_dir.ts";
import { readEtcdEndpoints } from "../../../instance/etcd_endpoints.ts";
import { assertEtcdPlace } from "../../../instance/etcd_place.ts";
import { createFilePort } from "../../../client/files.ts";
import { assertOutside, readDataFiles } from "../../../instance/backup/files.ts";
import { readBackup } from "../../../instance/backup/read_backup.ts";
import { openSnapshot } from "../../../instance/backup/source.ts";
import { type BackupProgress, existsError, toIoError, writeBackup } from "../../../instance/backup/write_backup.ts";
import { connect } from "../../connection.ts";

/** The action of the command `tlsboot backup`. */
export async function run(input: Input<BackupFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args: [name = ""] } = input;
  const path = resolve(io.cwd, name);
  if (settings.verify) return await verify(input, path, io, signal);
  const root = resolve(io.cwd, settings.dataDir);
  // Checked before the user types a passphrase for nothing.
  await assertOutside(root, path);
  if (!settings.force && await lstat(path).catch(() => undefined) !== undefined) throw existsError(path);
  const files = createFilePort();
  const dir = dataDirAt(root);
  await assertEtcdPlace(dir, settings, "back up", files);
  const endpoints = settings.etcdServers.length === 0
    ? undefined
    : await readEtcdEndpoints(settings, { files, cwd: io.cwd });
  const recipients = await readRecipients(settings, name, io, signal);
  using progress = startProgress(io, "reading the objects");
  await using snapshot = await openSnapshot(dir, endpoints, {
    clock: io.clock,
    connect: () => connect({ dataDir: root, kubeconfig: dir.adminKubeconfig }, io),
  }, signal);
  const { omitted, pruned } = snapshot;
  const { manifest, size } = await writeBackup(
    path,
    {
      files: readDataFiles(root),
      snapshot: snapshot.chunks,
      facts: {
        createdAt: formatTime(io.clock.now()),
        tlsbootVersion: TLSBOOT_VERSION,
        dataFormat: DATA_FORMAT,
        ...(omitted.length === 0 ? {} : { omitted }),
      },
    },
    recipients,
    settings.force,
    (event) => show(event, progress),
  );
  progress[Symbol.dispose]();
  const count = manifest.parts.filter((part) => part.path.startsWith("files/")).length;
  io.stdout.write(line`${name}: ${manifest.objects} objects ${snapshot.origin} and ${count} files, ${size} bytes\n`);
  warnOfOmitted(omitted, io);
  if (pruned.length > 0) {
    warn(`in it without the fields that tlsboot does not know, if they have any: ${describeOmitted(pruned)}`, io);
  }
  return EXIT.done;
}

const CHECKING = "checking the backup";

function show(event: BackupProgress, progress: ProgressLine): void {
  switch (event.kind) {
    case "derivingKey":
      return progress.update(DERIVING_KEY);
    case "writing":
      return progress.update("writing the backup", formatMegabytes(event.bytes));
    case "readingBack":
      return progress.update("reading it back", { done: event.bytes, total: event.total, format: formatMegabytes });
  }
}

async function verify(
  { settings }: Input<BackupFlags>,
  path: string,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const name = path;
  const opener = await readOpener(settings, name, io, signal);
  const nothing = () => Promise.resolve();
  using progress = startProgress(io, CHECKING);
  const sealed = await openWithProgress(path, opener, CHECKING, progress);
  const manifest = await readBackup(sealed, { file: nothing, objects: nothing })
    .catch((error: unknown) => {
      throw toIoError(`cannot read backup "${name}"`, error);
    });
  progress[Symbol.dispose]();
  io.stdout.write(
    line`good: made ${manifest.createdAt} by tlsboot ${manifest.tlsbootVersion}, ${manifest.objects} objects, ` +
      `${manifest.parts.length} parts\n`,
  );
  const { omitted = [] } = manifest;
  warnOfOmitted(omitted, io);
  return EXIT.done;
}

function warnOfOmitted(omitted: readonly OmittedResource[], io: Io): void {
  if (omitted.length > 0) warn(`not in it, since tlsboot does not serve them: ${describeOmitted(omitted)}`, io);
}
