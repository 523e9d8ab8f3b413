/** The archive inside a backup: a tar with the files, the objects in pieces, and at the end a manifest of all parts. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { BackupFile } from "./files.ts";
import {
  type BackupManifest,
  type BackupPart,
  FILES_PREFIX,
  formatManifest,
  MANIFEST_PATH,
  OBJECTS_PREFIX,
} from "./manifest.ts";
import { AppError } from "../../core/errors.ts";
import { encodeTarHeader, TAR_END, tarPadding } from "../../core/lib/tar.ts";
import { parseSnapshotHead } from "../../server/storage/snapshot_lines.ts";

export interface ArchiveContents {
  readonly files: AsyncIterable<BackupFile>;
  readonly snapshot: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly facts: Pick<BackupManifest, "createdAt" | "tlsbootVersion" | "dataFormat" | "omitted">;
}

/** Objects are stored in pieces of about this size, so that neither side needs to hold all of them in memory. */
const PIECE_BYTES = 4_194_304;

/**
 * Yields the bytes of an archive. `onManifest` is called with the manifest, which is known only at the end. Throws AppError
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
    yield* entry(`${OBJECTS_PREFIX}${String(number).padStart(6, "0")}.ndjson`, 0o600, piece);
  }
  const manifest: BackupManifest = { ...facts, ...head.value, parts: [...parts] };
  yield* entry(MANIFEST_PATH, 0o600, Buffer.from(formatManifest(manifest)));
  yield TAR_END;
  onManifest(manifest);
}

/** Describes a part of an archive: its path, size and hash. */
export function toBackupPart(path: string, bytes: Uint8Array): BackupPart {
  return { path, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
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
