/** Translates SQLite's failures into errors with advice for the operator. */
import { AppError, getErrorMessage } from "../../../core/errors.ts";

/** Primary result codes (sqlite.org/rescode.html), with their texts, because Deno's `exec` reports only the text. */
const CODES: readonly (readonly [code: number, text: string, name: SqliteFailure])[] = [
  [5, "database is locked", "locked"],
  [8, "attempt to write a readonly database", "readonly"],
  [11, "database disk image is malformed", "corrupt"],
  [13, "database or disk is full", "full"],
  [26, "file is not a database", "corrupt"],
];

/** The operating system's codes for failures of file operations outside of SQLite. */
const SYSTEM_CODES: Readonly<Record<string, SqliteFailure>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "readonly",
  EACCES: "readonly",
  EPERM: "readonly",
};

/** The kinds of failure, most of which have specific advice. */
type SqliteFailure = "locked" | "readonly" | "corrupt" | "full" | "other";

/** Classifies an error thrown by `node:sqlite` or `node:fs`. */
function classifyFailure(error: unknown): SqliteFailure {
  const { code = "", errcode = 0 } = Object(error) as { readonly code?: string; readonly errcode?: number };
  const text = getErrorMessage(error);
  const known = CODES.find(([number, message]) => number === (errcode & 0xff) || text.startsWith(message));
  return SYSTEM_CODES[code] ?? known?.[2] ?? "other";
}

/** Creates AppError `storage_locked`: another process uses the file. */
export function lockedError(path: string, cause?: unknown): AppError {
  return new AppError("storage_locked", `cannot open storage "${path}": another process is using it`, {
    cause,
    hint: "stop the other tlsboot, or choose another folder for this one with the setting dataDir",
    retryable: true,
  });
}

/** Creates AppError `storage_corrupt`: the file is damaged, foreign or of a newer format, and was not changed. */
export function corruptError(path: string, what: string, options: { hint?: string; cause?: unknown } = {}): AppError {
  return new AppError("storage_corrupt", `cannot open storage "${path}": ${what}`, {
    hint: "restore the file from a backup, or move it away (with its -wal) to start with an empty one",
    ...options,
  });
}

/** Creates the AppError for any failure to open a database. */
export function openError(path: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  switch (classifyFailure(error)) {
    case "locked":
      return lockedError(path, error);
    case "corrupt":
      return corruptError(path, getErrorMessage(error), { cause: error });
    default:
      return ioError(`cannot open storage "${path}"`, error);
  }
}

/** Creates AppError `io` with advice; `what` names the failed operation. */
export function ioError(what: string, error: unknown): AppError {
  return new AppError("io", `${what}: ${getErrorMessage(error)}`, {
    cause: error,
    hint: adviceFor(classifyFailure(error)),
  });
}

/** Creates AppError `io`: the disk did not keep a write that SQLite considers done. */
export function lostError(error: unknown): AppError {
  return new AppError(
    "io",
    `cannot write to the storage: the disk did not keep a write: ${getErrorMessage(error)}`,
    {
      cause: error,
      hint: "check the disk, then start tlsboot again; every acknowledged write is stored",
    },
  );
}

function adviceFor(failure: SqliteFailure): string {
  switch (failure) {
    case "full":
      return "free some space on the disk; nothing stored is lost, and writes resume automatically";
    case "readonly":
      return "make the file and its folder writable";
    default:
      return "check that the folder exists and is writable, and that its disk is healthy and has space";
  }
}
