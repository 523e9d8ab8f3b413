/** Writes a backup, or verifies one. */
import { lstat } from "node:fs/promises";
import { resolve } from "node:path";
import { describeOmitted, type OmittedResource } from "../../../instance/backup/manifest.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { TLSBOOT_VERSION } from "../../../core/version.ts";
import { openWithProgress, readOpener, readRecipients } from "./encryption.ts";
import type { backupCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io, Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { DERIVING_KEY, formatMegabytes, type ProgressLine, startProgress } from "../../output/progress.ts";
import { warn } from "../../framework/report.ts";
import { DATA_FORMAT, dataDirAt } from "../../../instance/data_dir.ts";
import { assertEtcdPlace, readEtcdEndpoints } from "../../../instance/storage/etcd.ts";
import { assertOutside, openSnapshot, readDataFiles } from "../../../instance/backup/source.ts";
import { readBackup } from "../../../instance/backup/archive.ts";
import {
  type BackupProgress,
  createBackupExistsError,
  toIoError,
  writeBackup,
} from "../../../instance/backup/write_backup.ts";
import { connect } from "../../connection.ts";

export async function run(input: Input<typeof backupCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings, args: [name = ""] } = input;
  const path = resolve(tools.cwd, name);
  if (settings.verify) return await verify(input, path, tools);
  const root = resolve(tools.cwd, settings.dataDir);
  // Checked before the user types a passphrase for nothing.
  await assertOutside(root, path);
  if (!settings.force && await lstat(path).catch(() => undefined) !== undefined) throw createBackupExistsError(path);
  const dir = dataDirAt(root);
  await assertEtcdPlace(dir, settings, "back up", tools.files);
  const endpoints = settings.etcdServers.length === 0 ? undefined : await readEtcdEndpoints(settings, tools);
  const recipients = await readRecipients(settings, name, tools);
  using progress = startProgress(tools, "reading the objects");
  await using snapshot = await openSnapshot(dir, endpoints, {
    files: tools.files,
    clock: tools.clock,
    connect: () => connect({ dataDir: root, kubeconfig: dir.adminKubeconfig }, tools),
  }, tools.signal);
  const { omitted, pruned } = snapshot;
  const { manifest, size } = await writeBackup(
    path,
    {
      files: readDataFiles(root),
      snapshot: snapshot.chunks,
      facts: {
        createdAt: formatTime(tools.clock.now()),
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
  tools.stdout.write(line`${name}: ${manifest.objects} objects ${snapshot.origin} and ${count} files, ${size} bytes\n`);
  warnOfOmitted(omitted, tools);
  if (pruned.length > 0) {
    warn(`backed up without any fields that tlsboot does not know: ${describeOmitted(pruned)}`, tools);
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
  { settings, args: [name = ""] }: Input<typeof backupCommand.flags>,
  path: string,
  tools: Tools,
): Promise<ExitCode> {
  const opener = await readOpener(settings, name, tools);
  const nothing = () => Promise.resolve();
  using progress = startProgress(tools, CHECKING);
  const sealed = await openWithProgress(path, opener, CHECKING, progress);
  const manifest = await readBackup(sealed, { file: nothing, objects: nothing })
    .catch((error: unknown) => {
      throw toIoError(`cannot read backup "${name}"`, error);
    });
  progress[Symbol.dispose]();
  tools.stdout.write(
    line`valid: made ${manifest.createdAt} by tlsboot ${manifest.tlsbootVersion}, ${manifest.objects} objects, ` +
      `${manifest.parts.length} parts\n`,
  );
  warnOfOmitted(manifest.omitted ?? [], tools);
  return EXIT.done;
}

function warnOfOmitted(omitted: readonly OmittedResource[], io: Io): void {
  if (omitted.length > 0) warn(`not backed up, because tlsboot does not serve them: ${describeOmitted(omitted)}`, io);
}
