/** Writes a backup to a temporary file, syncs it, reads it back, and only then renames it. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, link, lstat, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type ArchiveContents, createArchive, createBackupInvalidError, readBackup } from "./archive.ts";
import { type BackupRecipients, decryptBackup, encryptBackup } from "./encryption.ts";
import { SECRET_MODE, syncDirectory } from "../../client/files.ts";
import type { BackupManifest } from "./manifest.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";

interface WrittenBackup {
  readonly manifest: BackupManifest;
  readonly size: number;
}

/** The progress of a backup: the current step, the number of bytes so far, and their total if it is known. */
export type BackupProgress =
  | { readonly kind: "derivingKey" }
  | { readonly kind: "writing"; readonly bytes: number }
  | { readonly kind: "readingBack"; readonly bytes: number; readonly total: number };

/**
 * Writes a backup to `path`, which must not exist unless `force` is set. Throws AppError `file_exists`, or `io`, for
 * example for a full disk; then no unfinished file remains, and an existing file is unchanged.
 */
export async function writeBackup(
  path: string,
  contents: ArchiveContents,
  recipients: BackupRecipients,
  force: boolean,
  onProgress: (event: BackupProgress) => void = () => {},
): Promise<WrittenBackup> {
  const unfinished = `${path}.tmp`;
  let manifest: BackupManifest | undefined;
  const archive = createArchive(contents, (found) => manifest = found);
  try {
    const derive = (): void => {
      // Reported first, because deriving a key from the passphrase blocks the process for a second or two.
      if (recipients.kind === "passphrase") onProgress({ kind: "derivingKey" });
    };
    derive();
    const sealed = await encryptBackup(archive, recipients);
    const written = (bytes: number): void => onProgress({ kind: "writing", bytes });
    written(0);
    const { size: total, digest } = await writeSynced(unfinished, sealed, written);
    derive();
    await readBack(unfinished, digest, recipients, (bytes) => onProgress({ kind: "readingBack", bytes, total }));
    await place(unfinished, path, force);
    if (manifest === undefined) throw createBackupInvalidError("it was not written to its end");
    return { manifest, size: total };
  } catch (error) {
    await removeUnfinished(unfinished);
    throw error;
  }
}

/**
 * Removes an unfinished file or folder after a failure. Errors are ignored, because the first failure is reported, and
 * the next attempt removes the rest.
 */
export async function removeUnfinished(path: string): Promise<void> {
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
    file = await open(path, "wx", SECRET_MODE);
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

/** Checks the file on disk: with a passphrase by restoring it in memory, with a public key by its hash. */
async function readBack(
  path: string,
  digest: string,
  recipients: BackupRecipients,
  read: (bytes: number) => void,
): Promise<void> {
  const hash = createHash("sha256");
  const sealed = reportBytes(updateHash(createReadStream(path), hash), read);
  if (recipients.kind === "passphrase") {
    await readBackup(await decryptBackup(sealed, recipients), { file: ignore, objects: ignore });
  } else for await (const _ of sealed);
  if (hash.digest("hex") !== digest) {
    throw createBackupInvalidError("it differs from what was written when it is read back");
  }
}

async function* updateHash(stream: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Passes a stream through and reports the number of bytes so far. */
export async function* reportBytes(
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

/** Gives the file its final name and syncs the folder. */
async function place(from: string, to: string, force: boolean): Promise<void> {
  try {
    if (force) await rename(from, to);
    else await nameExclusively(from, to);
  } catch (error) {
    if (findErrorCode(error) === "EEXIST") throw createBackupExistsError(to);
    throw toIoError(`cannot write backup "${to}"`, error);
  }
  try {
    await rm(from, { force: true });
    await syncDirectory(dirname(to));
  } catch (error) {
    // Under its name the file would block the next attempt. With `force` it has already replaced the old file.
    if (!force) await removeUnfinished(to);
    throw toIoError(`cannot write backup "${to}"`, error);
  }
}

/**
 * Creates a hard link, which fails if the name exists. Without hard links, there is a short race between the check and
 * the rename.
 */
async function nameExclusively(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "ENOSYS"].includes(findErrorCode(error))) throw error;
    if (await lstat(to).catch(() => undefined) !== undefined) throw createBackupExistsError(to);
    await rename(from, to);
  }
}

/** Creates the error for a backup whose file exists already. */
export function createBackupExistsError(path: string): AppError {
  return new AppError("file_exists", `cannot write backup "${path}": the file exists`, {
    hint: "choose another name, or replace it with the setting force",
  });
}

/** Wraps an error of the file system as AppError `io`; an AppError is returned as it is. */
export function toIoError(what: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const hint = findErrorCode(error) === "ENOSPC"
    ? "the disk is full: free some space, or choose another place"
    : "check that the folder exists and can be written, and that its disk has space";
  return new AppError("io", `${what}: ${getErrorMessage(error)}`, { cause: error, hint });
}

function ignore(): Promise<void> {
  return Promise.resolve();
}
