/** Writes a backup: beside its place, to the disk, read back, and only then under its name. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, link, lstat, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../client/files.ts";
import type { BackupManifest } from "../../core/backup/manifest.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { type ArchiveContents, createArchive } from "./archive.ts";
import { decrypt, encrypt, type Recipients } from "./encryption.ts";
import { backupInvalid, readBackup } from "./read.ts";

/** What was written. */
export interface Written {
  readonly manifest: BackupManifest;
  readonly size: number;
}

const PRIVATE = 0o600;

/** What is being done; `bytes` is how much of it so far. */
export interface BackupProgress {
  readonly kind: "writing" | "readingBack";
  readonly bytes: number;
}

/**
 * Writes `path`, which must not exist without `force`. AppError `file_exists`, `io` for a full disk and the like: then
 * nothing is left of it, and what was there before still is.
 */
export async function writeBackup(
  path: string,
  contents: ArchiveContents,
  recipients: Recipients,
  force: boolean,
  onProgress: (event: BackupProgress) => void = () => {},
): Promise<Written> {
  const unfinished = `${path}.tmp`;
  let manifest: BackupManifest | undefined;
  const archive = createArchive(contents, (found) => manifest = found);
  try {
    // Said first: a key is made of the passphrase, which takes a second or two in which nothing else runs.
    onProgress({ kind: "writing", bytes: 0 });
    const written = (bytes: number): void => onProgress({ kind: "writing", bytes });
    const { size, digest } = await writeSynced(unfinished, await encrypt(archive, recipients), written);
    onProgress({ kind: "readingBack", bytes: 0 });
    await readBack(unfinished, digest, recipients, (bytes) => onProgress({ kind: "readingBack", bytes }));
    await place(unfinished, path, force);
    if (manifest === undefined) throw backupInvalid("it was not written to its end");
    return { manifest, size };
  } catch (error) {
    await removeRest(unfinished);
    throw error;
  }
}

/** After a failure, which is what is told; what cannot be removed either is removed by the next try. */
export async function removeRest(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => {});
}

async function writeSynced(
  path: string,
  sealed: AsyncIterable<Uint8Array>,
  written: (bytes: number) => void,
): Promise<{ readonly size: number; readonly digest: string }> {
  await rm(path, { force: true });
  const hash = createHash("sha256");
  let file: FileHandle | undefined;
  let size = 0;
  try {
    file = await open(path, "wx", PRIVATE);
    for await (const chunk of sealed) {
      await file.writeFile(chunk);
      hash.update(chunk);
      size += chunk.length;
      written(size);
    }
    await file.sync();
  } catch (error) {
    throw toIoError(`cannot write backup "${path.replace(/\.tmp$/, "")}"`, error);
  } finally {
    await file?.close();
  }
  return { size, digest: hash.digest("hex") };
}

/** With a passphrase everything is read as it will be one day; for a public key at least what is on the disk. */
async function readBack(
  path: string,
  digest: string,
  recipients: Recipients,
  read: (bytes: number) => void,
): Promise<void> {
  const hash = createHash("sha256");
  const sealed = counted(hashed(createReadStream(path), hash), read);
  if (recipients.kind === "passphrase") {
    await readBackup(await decrypt(sealed, recipients), { file: ignore, objects: ignore });
  } else for await (const _ of sealed);
  if (hash.digest("hex") !== digest) throw backupInvalid("what was read back is not what was written");
}

async function* hashed(stream: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    hash.update(chunk);
    yield chunk;
  }
}

/** The stream as it is; `passed` hears how many bytes have come through. */
export async function* counted(
  stream: AsyncIterable<Uint8Array>,
  passed: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    passed(bytes);
    yield chunk;
  }
}

/** Gives the file its name, for good. */
async function place(from: string, to: string, force: boolean): Promise<void> {
  try {
    if (force) await rename(from, to);
    else await nameExclusively(from, to);
  } catch (error) {
    if (isCode(error, "EEXIST")) throw existsError(to);
    throw toIoError(`cannot write backup "${to}"`, error);
  }
  try {
    await rm(from, { force: true });
    await syncDirectory(dirname(to));
  } catch (error) {
    // Under its name it would be in the way of the next try; what it has replaced is gone already.
    if (!force) await removeRest(to);
    throw toIoError(`cannot write backup "${to}"`, error);
  }
}

/** A link fails where there is a file already; where a file system knows no links, nobody may make one meanwhile. */
async function nameExclusively(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "ENOSYS"].some((code) => isCode(error, code))) throw error;
    if (await lstat(to).catch(() => undefined) !== undefined) throw existsError(to);
    await rename(from, to);
  }
}

/** AppError `file_exists`. */
export function existsError(path: string): AppError {
  return new AppError("file_exists", `cannot write backup "${path}": the file exists`, {
    hint: "choose another name, or replace it with --force",
  });
}

/** AppError `io`; what is an AppError already stays what it is. */
export function toIoError(what: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const hint = isCode(error, "ENOSPC")
    ? "the disk is full: free some space, or choose another place"
    : "check that the folder exists and can be written, and that its disk has space";
  return new AppError("io", `${what}: ${getErrorMessage(error)}`, { cause: error, hint });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function ignore(): Promise<void> {
  return Promise.resolve();
}
