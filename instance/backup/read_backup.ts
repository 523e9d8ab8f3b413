/** Reads a backup to its end and checks every part against the manifest. */
import { Buffer } from "node:buffer";
import { toBackupPart } from "./archive.ts";
import type { BackupFile } from "./files.ts";
import {
  type BackupManifest,
  type BackupPart,
  FILES_PREFIX,
  findPartsFault,
  findPathFault,
  MANIFEST_PATH,
  MAX_PART_BYTES,
  parseManifest,
} from "./manifest.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { decodeTarHeader, TAR_BLOCK, tarPadding } from "../../core/lib/tar.ts";
import { DATA_FORMAT } from "../data_dir.ts";
import { parseSnapshotObject, type SnapshotObject } from "../../server/storage/snapshot_lines.ts";

/** Receives the parts of a backup. Nothing is verified before `readBackup` resolves. */
export interface BackupSink {
  file(file: BackupFile): Promise<void>;
  objects(objects: readonly SnapshotObject[]): Promise<void>;
}

/** Reads an archive. Throws AppError `backup_invalid` for one that is damaged, incomplete, or of a newer format. */
export async function readBackup(archive: AsyncIterable<Uint8Array>, sink: BackupSink): Promise<BackupManifest> {
  const read: BackupPart[] = [];
  let objects = 0;
  let manifest: BackupManifest | undefined;
  for await (const { path, mode, bytes } of readEntries(archive)) {
    const fault = manifest === undefined ? findPathFault(path) : "something follows its manifest";
    if (fault !== undefined) throw backupInvalid(fault);
    if (path === MANIFEST_PATH) {
      manifest = assertWhole(bytes, read, objects);
      continue;
    }
    read.push(toBackupPart(path, bytes));
    if (path.startsWith(FILES_PREFIX)) await sink.file({ path: path.slice(FILES_PREFIX.length), mode, bytes });
    else {
      const found = objectsIn(bytes);
      objects += found.length;
      await sink.objects(found);
    }
  }
  if (manifest === undefined) throw backupInvalid("it ends before its manifest");
  return manifest;
}

function assertWhole(bytes: Uint8Array, read: readonly BackupPart[], objects: number): BackupManifest {
  const manifest = parseManifest(Buffer.from(bytes).toString("utf8"), DATA_FORMAT);
  if (!manifest.ok) throw backupInvalid(manifest.error);
  const fault = findPartsFault(manifest.value, read);
  if (fault !== undefined) throw backupInvalid(fault);
  if (objects !== manifest.value.objects) {
    throw backupInvalid(`it contains ${objects} of ${manifest.value.objects} objects`);
  }
  return manifest.value;
}

function objectsIn(bytes: Uint8Array): readonly SnapshotObject[] {
  const lines = Buffer.from(bytes).toString("utf8").split("\n");
  return lines.slice(0, -1).map((line) => {
    const object = parseSnapshotObject(line);
    if (!object.ok) throw backupInvalid(object.error);
    return object.value;
  });
}

async function* readEntries(archive: AsyncIterable<Uint8Array>): AsyncGenerator<BackupFile> {
  const { take, drain } = createTaker(archive);
  while (true) {
    const header = readHeader(await take(TAR_BLOCK));
    // A stream is known to be complete only after it was read to its end.
    if (header === undefined) return await drain();
    const { path, mode, size } = header;
    if (size > MAX_PART_BYTES) throw backupInvalid(`"${path}" is too large`);
    const bytes = await take(size);
    await take(tarPadding(size).length);
    yield { path, mode, bytes };
  }
}

function readHeader(block: Uint8Array): ReturnType<typeof decodeTarHeader> {
  try {
    return decodeTarHeader(block);
  } catch (error) {
    throw backupInvalid(getErrorMessage(error));
  }
}

/** Reads a number of bytes from a stream, or drains it. */
function createTaker(stream: AsyncIterable<Uint8Array>) {
  const iterator = stream[Symbol.asyncIterator]();
  let chunks: Uint8Array[] = [];
  let held = 0;
  async function take(length: number): Promise<Uint8Array> {
    while (held < length) {
      const { done, value } = await iterator.next();
      if (done === true) throw backupInvalid("it ends in the middle");
      chunks.push(value);
      held += value.length;
    }
    const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    chunks = held === length ? [] : [all.subarray(length)];
    held -= length;
    return all.subarray(0, length);
  }
  async function drain(): Promise<void> {
    while ((await iterator.next()).done !== true);
  }
  return { take, drain };
}

/** Creates the error for a backup that cannot be used. */
export function backupInvalid(what: string, cause?: unknown): AppError {
  return new AppError("backup_invalid", `cannot use the backup: ${what}`, {
    cause,
    hint: "use another copy of it, or an older backup",
  });
}
