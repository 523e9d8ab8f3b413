/**
 * The archive inside a backup: a tar with the files, the objects in pieces, and at the end a manifest with which a
 * reader checks all parts.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import type { BackupFile } from "./source.ts";
import {
  type BackupManifest,
  type BackupPart,
  FILES_PREFIX,
  findPartsFault,
  findPathFault,
  formatManifest,
  MANIFEST_PATH,
  MAX_PART_BYTES,
  OBJECTS_PREFIX,
  parseManifest,
} from "./manifest.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { decodeTarHeader, encodeTarHeader, TAR_BLOCK, TAR_END, tarPadding } from "../../core/lib/tar.ts";
import { parseSnapshotHead, parseSnapshotObject, type SnapshotObject } from "../../server/storage/snapshot_lines.ts";
import { SECRET_MODE } from "../../client/files.ts";
import { DATA_FORMAT } from "../data_dir.ts";

export interface ArchiveContents {
  readonly files: AsyncIterable<BackupFile>;
  readonly snapshot: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly facts: Pick<BackupManifest, "createdAt" | "tlsbootVersion" | "dataFormat" | "omitted">;
}

/** Objects are stored in pieces of about this size, so that neither side needs to hold all of them in memory. */
const PIECE_BYTES = 4_194_304;

/**
 * Yields the bytes of an archive. `onManifest` receives the manifest, which is known only at the end. Throws AppError
 * `backup_invalid`.
 */
export async function* createArchive(
  { files, snapshot, facts }: ArchiveContents,
  onManifest: (manifest: BackupManifest) => void,
): AsyncGenerator<Uint8Array> {
  const modifiedSeconds = Math.floor(Date.parse(facts.createdAt) / 1000);
  const parts: BackupPart[] = [];
  function* entry(path: string, mode: number, bytes: Uint8Array): Generator<Uint8Array> {
    parts.push(toBackupPart(path, bytes));
    yield encodeTarHeader({ path, mode, size: bytes.length, modifiedSeconds });
    yield bytes;
    yield tarPadding(bytes.length);
  }
  for await (const { path, mode, bytes } of files) yield* entry(`${FILES_PREFIX}${path}`, mode, bytes);

  const lines = readLines(snapshot);
  const head = parseSnapshotHead((await lines.next()).value ?? "");
  if (!head.ok) throw new AppError("backup_invalid", `cannot back up the objects: ${head.error}`);
  let number = 0;
  for await (const piece of splitIntoPieces(lines, head.value.objects)) {
    number += 1;
    yield* entry(`${OBJECTS_PREFIX}${String(number).padStart(6, "0")}.ndjson`, SECRET_MODE, piece);
  }
  const manifest: BackupManifest = { ...facts, ...head.value, parts: [...parts] };
  yield* entry(MANIFEST_PATH, SECRET_MODE, Buffer.from(formatManifest(manifest)));
  yield TAR_END;
  onManifest(manifest);
}

/** Describes a part of an archive: its path, size and hash. */
export function toBackupPart(path: string, bytes: Uint8Array): BackupPart {
  return { path, size: bytes.length, sha256: hash("sha256", bytes) };
}

async function* splitIntoPieces(lines: AsyncIterable<string>, wanted: number): AsyncGenerator<Uint8Array> {
  let piece: Uint8Array[] = [];
  let size = 0;
  let count = 0;
  for await (const line of lines) {
    const bytes = Buffer.from(`${line}\n`);
    piece.push(bytes);
    size += bytes.length;
    count += 1;
    if (size < PIECE_BYTES) continue;
    yield Buffer.concat(piece);
    piece = [];
    size = 0;
  }
  if (piece.length > 0) yield Buffer.concat(piece);
  if (count === wanted) return;
  throw new AppError("backup_invalid", `cannot back up the objects: only ${count} of ${wanted} arrived`, {
    hint: "the server was stopped in the meantime; try again",
    retryable: true,
  });
}

/** Yields the lines of a stream without their newlines. Text after the last newline is a line too, if there is any. */
async function* readLines(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Uint8Array[] = [];
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, at)]).toString("utf8");
      rest = [];
      from = at + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString("utf8");
}

/** Receives the parts of a backup. Nothing is verified before `readBackup` resolves. */
interface BackupSink {
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
    if (fault !== undefined) throw createBackupInvalidError(fault);
    if (path === MANIFEST_PATH) {
      manifest = assertWhole(bytes, read, objects);
      continue;
    }
    read.push(toBackupPart(path, bytes));
    if (path.startsWith(FILES_PREFIX)) await sink.file({ path: path.slice(FILES_PREFIX.length), mode, bytes });
    else {
      const parsed = parseObjects(bytes);
      objects += parsed.length;
      await sink.objects(parsed);
    }
  }
  if (manifest === undefined) throw createBackupInvalidError("it ends before its manifest");
  return manifest;
}

function assertWhole(bytes: Uint8Array, read: readonly BackupPart[], objects: number): BackupManifest {
  const manifest = parseManifest(Buffer.from(bytes).toString("utf8"), DATA_FORMAT);
  if (!manifest.ok) throw createBackupInvalidError(manifest.error);
  const fault = findPartsFault(manifest.value, read);
  if (fault !== undefined) throw createBackupInvalidError(fault);
  if (objects !== manifest.value.objects) {
    throw createBackupInvalidError(`it contains ${objects} of ${manifest.value.objects} objects`);
  }
  return manifest.value;
}

function parseObjects(bytes: Uint8Array): readonly SnapshotObject[] {
  const lines = Buffer.from(bytes).toString("utf8").split("\n");
  return lines.slice(0, -1).map((line) => {
    const object = parseSnapshotObject(line);
    if (!object.ok) throw createBackupInvalidError(object.error);
    return object.value;
  });
}

async function* readEntries(archive: AsyncIterable<Uint8Array>): AsyncGenerator<BackupFile> {
  const { take, drain } = createByteReader(archive);
  while (true) {
    const header = readHeader(await take(TAR_BLOCK));
    // A stream is known to be complete only after it was read to its end.
    if (header === undefined) return await drain();
    const { path, mode, size } = header;
    if (size > MAX_PART_BYTES) throw createBackupInvalidError(`"${path}" is too large`);
    const bytes = await take(size);
    await take(tarPadding(size).length);
    yield { path, mode, bytes };
  }
}

function readHeader(block: Uint8Array): ReturnType<typeof decodeTarHeader> {
  try {
    return decodeTarHeader(block);
  } catch (error) {
    throw createBackupInvalidError(getErrorMessage(error));
  }
}

/** Creates functions that read a number of bytes from a stream, and that drain it. */
function createByteReader(stream: AsyncIterable<Uint8Array>) {
  const iterator = stream[Symbol.asyncIterator]();
  let chunks: Uint8Array[] = [];
  let held = 0;
  async function take(length: number): Promise<Uint8Array> {
    while (held < length) {
      const { done, value } = await iterator.next();
      if (done === true) throw createBackupInvalidError("it ends in the middle");
      chunks.push(value);
      held += value.length;
    }
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    chunks = held === length ? [] : [bytes.subarray(length)];
    held -= length;
    return bytes.subarray(0, length);
  }
  async function drain(): Promise<void> {
    while ((await iterator.next()).done !== true);
  }
  return { take, drain };
}

/** Creates the error for a backup that cannot be used. */
export function createBackupInvalidError(what: string, cause?: unknown): AppError {
  return new AppError("backup_invalid", `cannot use the backup: ${what}`, {
    cause,
    hint: "use another copy of it, or an older backup",
  });
}
