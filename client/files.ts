/** The file operations for credentials, and their adapter over `node:fs/promises`. */
import { Buffer } from "node:buffer";
import { constants, createReadStream, readSync } from "node:fs";
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  readlink,
  realpath,
  rename,
  stat,
  symlink,
  unlink,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import * as ownProcess from "node:process";
import { AppError, findErrorCode, getErrorMessage } from "../core/errors.ts";

/** The mode of folders that hold credentials. */
export const FOLDER_MODE = 0o700;
/** The mode of files that contain a secret. */
export const SECRET_MODE = 0o600;
/** The mode of certificates and other public files. */
export const PUBLIC_MODE = 0o644;

/** The kind, mode and owner of a file, folder or link. */
export interface FileFacts {
  readonly kind: "file" | "directory" | "symlink" | "other";
  /** The permission bits, such as 0o600. */
  readonly mode: number;
  /** True when the owner is neither the user of this process nor root; false where the system has no owners. */
  readonly isOwnedByOther: boolean;
  /** True when the owner is root and this process is another user. */
  readonly isOwnedByRoot?: true;
}

/**
 * File operations. Every failure is AppError `io` with the path in its message. File content that is passed as a path
 * is refused without being quoted.
 */
export interface FilePort {
  /** Reads a file; undefined when there is none or only a dangling link. */
  readText(path: string): Promise<string | undefined>;
  /**
   * Reads a file together with its facts, so that it cannot be replaced between a check and the read. A link at the end
   * of the path is not followed; for a link, and for anything else that is not a file, the text is empty. Undefined
   * when the path does not exist. A file of more than `maxBytes` is an error.
   */
  readOpened(
    path: string,
    maxBytes?: number,
  ): Promise<{ readonly facts: FileFacts; readonly text: string } | undefined>;
  /** Writes all or nothing, even in a crash: a temporary file next to the target is synced and renamed over it. */
  writeAtomic(path: string, content: string | Uint8Array, mode: number): Promise<void>;
  /** Writes all or nothing like `writeAtomic`, but never replaces anything: AppError `file_exists`. */
  createExclusive(path: string, text: string, mode: number): Promise<void>;
  /** Creates a symbolic link at `path`. */
  symlink(target: string, path: string): Promise<void>;
  /** Reads the target of a symbolic link, as it is stored; undefined for anything else. */
  readLink(path: string): Promise<string | undefined>;
  /** Resolves every link of a path; undefined when it does not exist. */
  realPath(path: string): Promise<string | undefined>;
  /** Renames a file or link, and replaces an existing one. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or link durably; succeeds when there is none. */
  unlink(path: string): Promise<void>;
  /** Creates a folder and its missing parents with `mode`, durably. */
  makeDirectory(path: string, mode: number): Promise<void>;
  /** Reads the facts of a path, following links; undefined when it does not exist. */
  stat(path: string): Promise<FileFacts | undefined>;
  /** Reads the facts of a path without following a link; undefined when it does not exist. */
  lstat(path: string): Promise<FileFacts | undefined>;
}

/** The number of names to try for a temporary file. A name in use belongs to another writer or was left by a crash. */
const MAX_TEMPORARY_NAMES = 1_000;

/** Creates the adapter to the file system. */
export function createFilePort(): FilePort {
  return {
    readText: (path) => attempt("read", path, () => orMissing(readFile(path, "utf8"))),
    readOpened: (path, maxBytes) => attempt("read", path, () => readOpened(path, maxBytes)),
    writeAtomic: (path, content, mode) => attempt("write", path, () => writeAtomic(path, content, mode)),
    createExclusive: (path, text, mode) => attempt("create", path, () => createExclusive(path, text, mode)),
    readLink: (path) => attempt("read", path, () => orNoLink(readlink(path))),
    realPath: (path) => attempt("read", path, () => orMissing(realpath(path))),
    symlink: (target, path) => attempt("link", path, () => symlink(target, path)),
    rename: (from, to) =>
      attempt("rename", from, async () => {
        await rename(from, to);
        await syncDirectory(dirname(to));
      }),
    unlink: (path) =>
      attempt("remove", path, async () => {
        const isRemoved = await orMissing(unlink(path).then(() => true));
        if (isRemoved === true) await syncDirectory(dirname(path));
      }),
    makeDirectory: (path, mode) => attempt("create", path, () => makeDirectory(path, mode)),
    stat: (path) => attempt("read", path, async () => toFileFacts(await orMissing(stat(path)))),
    lstat: (path) => attempt("read", path, async () => toFileFacts(await orMissing(lstat(path)))),
  };
}

async function readOpened(path: string, maxBytes?: number): ReturnType<FilePort["readOpened"]> {
  const facts = toFileFacts(await orMissing(lstat(path)));
  if (facts?.kind !== "file") return facts && { facts, text: "" };
  // Non-blocking, because a pipe may have replaced the file since. Windows has neither flag.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await orMissing(open(path, flags));
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    const opened = toFileFacts(stats) ?? facts;
    if (maxBytes !== undefined && stats.size > maxBytes) {
      throw new AppError("io", `cannot read "${path}": it is larger than ${maxBytes} bytes`, { hint: STRAY_HINT });
    }
    return { facts: opened, text: opened.kind === "file" ? await handle.readFile("utf8") : "" };
  } finally {
    await handle.close();
  }
}

/** The hint for something on a stick that cannot be a request or an answer. */
const STRAY_HINT = "remove it from the folder, and run the command again";

/** A request or an answer with its certificates has a few kilobytes; with keys of ML-DSA, about ten times that. */
const MAX_STICK_FILE_BYTES = 1 << 20;

/**
 * Reads a file from a stick that someone else may have prepared. AppError for a link, a pipe, a device or a huge file,
 * which is not read; undefined when there is no file.
 */
export async function readStickFile(
  path: string,
  files: Pick<FilePort, "readOpened">,
): Promise<string | undefined> {
  const found = await files.readOpened(path, MAX_STICK_FILE_BYTES);
  if (found === undefined || found.facts.kind === "file") return found?.text;
  const kind = KIND_WORDS[found.facts.kind];
  throw new AppError("invalid", `cannot read "${path}": it is ${kind}, not a file`, {
    hint: STRAY_HINT,
  });
}

/** Writes a file only if its content changes, because programs may watch it. */
export async function writeChanged(
  path: string,
  text: string,
  mode: number,
  files: Pick<FilePort, "readText" | "writeAtomic">,
): Promise<void> {
  if (await files.readText(path) !== text) await files.writeAtomic(path, text, mode);
}

/**
 * Reads a file that the user has named, which may be a pipe or a device. No more than `maxBytes` are read: AppError
 * `invalid` for a larger file, and `io` for every other failure. `file` is the path as the messages show it.
 */
export async function readNamedFile(
  file: string,
  { path, maxBytes }: { readonly path: string; readonly maxBytes: number },
  signal: AbortSignal,
): Promise<Buffer<ArrayBuffer>> {
  refuseContent("read", path);
  const chunks: Uint8Array[] = [];
  try {
    // `end` is the position of the last byte: one byte more than the limit shows that the file is larger.
    for await (const chunk of createReadStream(path, { signal, end: maxBytes })) chunks.push(chunk);
  } catch (error) {
    signal.throwIfAborted();
    const code = findErrorCode(error);
    const why = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : getErrorMessage(error);
    throw new AppError("io", `cannot read "${file}": ${why}`, { cause: error });
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length <= maxBytes) return bytes;
  throw new AppError("invalid", `cannot read "${file}": it is larger than ${maxBytes} bytes`, {
    hint: "check the name: a file of this kind is much smaller",
  });
}

const KIND_WORDS: Readonly<Record<Exclude<FileFacts["kind"], "file">, string>> = {
  directory: "a folder",
  symlink: "a link",
  other: "a pipe or a device",
};

/**
 * Creates a folder level by level: Node's recursive mkdir never returns for a parent that accepts no children, such as
 * `/proc`.
 */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const missing: string[] = [];
  let nearest = resolve(path);
  while (await orMissing(stat(nearest)) === undefined && dirname(nearest) !== nearest) {
    missing.unshift(nearest);
    nearest = dirname(nearest);
  }
  if (!(await stat(nearest)).isDirectory()) {
    throw new AppError("io", `cannot create "${path}": "${nearest}" is not a folder`, {
      hint: "choose another path, or move the file away",
    });
  }
  for (const folder of missing) {
    await acceptExisting(mkdir(folder, { mode }));
    // Otherwise a crash could lose the folder with everything that is synced in it.
    await syncDirectory(dirname(folder));
  }
}

/** Waits for a folder to be created; another process may create the same one at the same time. */
async function acceptExisting(made: Promise<void>): Promise<void> {
  try {
    await made;
  } catch (error) {
    if (findErrorCode(error) !== "EEXIST") throw error;
  }
}

async function writeAtomic(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = await openTemporary(path, mode);
  try {
    await writeAndSync(temporary.handle, content, mode);
    await rename(temporary.path, path);
  } catch (error) {
    await orMissing(unlink(temporary.path));
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function createExclusive(path: string, text: string, mode: number): Promise<void> {
  const temporary = await openTemporary(path, mode);
  try {
    await writeAndSync(temporary.handle, text, mode);
    // A link, unlike a rename, never replaces a file.
    await link(temporary.path, path);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP"].includes(findErrorCode(error))) throw error;
    await createWithoutLinks(path, text, mode);
  } finally {
    await orMissing(unlink(temporary.path));
  }
  await syncDirectory(dirname(path));
}

/** Creates a file on FAT and some network file systems, where a crash may leave half a file. */
async function createWithoutLinks(path: string, text: string, mode: number): Promise<void> {
  const handle = await open(path, "wx", mode);
  try {
    await writeAndSync(handle, text, mode);
  } catch (error) {
    await orMissing(unlink(path));
    throw error;
  }
}

/** Returns the path of the temporary file with this number, counted from 0. */
export function toTemporaryPath(path: string, number: number): string {
  return join(dirname(path), `.${basename(path)}.${number}.tmp`);
}

function openTemporary(
  path: string,
  mode: number,
): Promise<{ readonly path: string; readonly handle: FileHandle }> {
  return tryTemporaryNames(path, async (number) => {
    const candidate = toTemporaryPath(path, number);
    return { path: candidate, handle: await open(candidate, "wx", mode) };
  });
}

/**
 * Calls `create` with the number of each temporary name next to `path`, until it does not fail because the name is in
 * use. AppError `io` when all names are in use.
 */
export async function tryTemporaryNames<T>(path: string, create: (number: number) => Promise<T>): Promise<T> {
  for (let number = 0; number < MAX_TEMPORARY_NAMES; number++) {
    try {
      return await create(number);
    } catch (error) {
      if (!["EEXIST", "file_exists"].includes(findErrorCode(error))) throw error;
    }
  }
  throw new AppError("io", `cannot write "${path}": ${MAX_TEMPORARY_NAMES} temporary files are left next to it`, {
    hint: `remove the files that begin with ".${basename(path)}." and a number`,
  });
}

async function writeAndSync(handle: FileHandle, content: string | Uint8Array, mode: number): Promise<void> {
  try {
    // The umask narrows the mode of `open`, so it is set explicitly.
    await handle.chmod(mode);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Syncs a folder, so that a rename or a creation in it survives a power failure. Throws the system's error. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // Windows cannot open folders and some network file systems cannot sync them; the rename itself is done.
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"].includes(findErrorCode(error))) throw error;
  }
}

/** The size of the pieces in which the end of a line is searched for. */
const PIECE_BYTES = 65_536;
const NEWLINE = 0x0a;

/** Finds the offset after the last line break before `end` in an open file; 0 if there is none. */
export function findLineStart(file: number, end: number): number {
  const piece = Buffer.alloc(PIECE_BYTES);
  for (let to = end; to > 0;) {
    const from = Math.max(0, to - PIECE_BYTES);
    const at = piece.subarray(0, readSync(file, piece, 0, to - from, from)).lastIndexOf(NEWLINE);
    if (at >= 0) return from + at + 1;
    to = from;
  }
  return 0;
}

async function orMissing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(findErrorCode(error))) return undefined;
    throw error;
  }
}

/** Returns undefined for anything that is not a link, for which the system reports EINVAL. */
async function orNoLink(target: Promise<string>): Promise<string | undefined> {
  try {
    return await target;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EINVAL", "UNKNOWN"].includes(findErrorCode(error))) return undefined;
    throw error;
  }
}

function toFileFacts(stats: Awaited<ReturnType<typeof stat>> | undefined): FileFacts | undefined {
  if (stats === undefined) return undefined;
  const kind = stats.isSymbolicLink()
    ? "symlink"
    : stats.isDirectory()
    ? "directory"
    : stats.isFile()
    ? "file"
    : "other";
  // Not a named import: Windows has no such ids, and runtimes there do not export the function.
  const own = ownProcess.geteuid?.();
  const isOwnedByOther = own !== undefined && stats.uid !== own && stats.uid !== 0;
  const isOwnedByRoot = own !== undefined && own !== 0 && stats.uid === 0;
  return { kind, mode: Number(stats.mode) & 0o777, isOwnedByOther, ...(isOwnedByRoot ? { isOwnedByRoot } : {}) };
}

/**
 * Reports whether text is the content of a file such as a kubeconfig, and not a path: it has a line break,
 * `apiVersion:` or `{"`.
 */
export function isContent(text: string): boolean {
  return /[\r\n]|apiVersion["']?\s*:|\{\s*"/.test(text);
}

/** Refuses content in place of a path before a message or cause can quote it, because it may contain a private key. */
function refuseContent(verb: string, path: string): void {
  if (!isContent(path)) return;
  throw new AppError("io", `cannot ${verb} the file: its content was given in place of its path`, {
    hint: "give the path of the file",
  });
}

async function attempt<T>(verb: string, path: string, operation: () => Promise<T>): Promise<T> {
  refuseContent(verb, path);
  try {
    return await operation();
  } catch (error) {
    if (error instanceof AppError) throw error;
    const code = findErrorCode(error);
    if (code === "EEXIST") throw new AppError("file_exists", `cannot ${verb} "${path}": it exists`, { cause: error });
    const known = FAILURES[code];
    throw new AppError("io", `cannot ${verb} "${path}": ${known?.text ?? getErrorMessage(error)}`, {
      cause: error,
      hint: known?.hint,
    });
  }
}

const FAILURES: Readonly<Record<string, { readonly text: string; readonly hint: string }>> = {
  ENOENT: { text: "the folder does not exist", hint: "create the folder first" },
  ENOTDIR: { text: "a part of the path is not a folder", hint: "choose another path" },
  EISDIR: { text: "it is a folder", hint: "choose another path" },
  EACCES: { text: "permission denied", hint: "run as a user with the permission, or choose another path" },
  EPERM: { text: "operation not permitted", hint: "run as a user with the permission, or choose another path" },
  EROFS: {
    text: "the file system is read-only",
    hint: "choose a path on a writable file system; a systemd unit makes one writable with ReadWritePaths=",
  },
  ENOSPC: { text: "no space left on device", hint: "free some space and run the command again" },
  EDQUOT: { text: "disk quota exceeded", hint: "free some space and run the command again" },
};
