/**
 * The audit log of an instance, with kube-apiserver's settings for its policy and its file. A full file is renamed to a
 * backup. The file never contains part of a line. Backups may be compressed, and are removed when there are too many or
 * they are too old.
 */
import { basename, dirname, extname, join, resolve } from "node:path";
import { DEFAULT_AUDIT_POLICY, parseAuditPolicy } from "../../core/audit/policy.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";
import type { AuditOptions, AuditSink } from "../../server/mod.ts";
import type { InstanceDeps } from "../deps.ts";
import { readRequiredFile } from "../named_files.ts";
import type { AuditSettings } from "../settings.ts";
import { Buffer } from "node:buffer";
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  writeSync,
} from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { findLineStart, SECRET_MODE, syncDirectory } from "../../client/files.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { Clock, Logger } from "../../core/ports.ts";

/** An open audit log; `audit` is undefined when there is none. */
interface AuditLog extends AsyncDisposable {
  readonly audit: AuditOptions | undefined;
  /** The folder of the log file; undefined when there is none. */
  readonly folder: string | undefined;
}

const STDOUT = "-";
/** The bytes of a megabyte, as kube-apiserver counts them. */
const MEGABYTE = 1_048_576;
/** The interval at which a failure to write, such as a full disk, is logged. */
const REPORT_INTERVAL_MS = 60_000;

/**
 * Opens the audit log. AppError `usage` for a faulty setting, AppError `io`, and `config_invalid` for the
 * policy.
 */
export async function openAuditLog(settings: AuditSettings, deps: InstanceDeps): Promise<AuditLog> {
  const path = settings.auditLogPath;
  if (path === undefined) {
    return { audit: undefined, folder: undefined, [Symbol.asyncDispose]: doNothing };
  }
  const policy = await readPolicy(settings, deps);
  const { sink, close } = openSink(path, settings, deps);
  return {
    audit: { policy, sink, isStrict: settings.auditLogMode === "blocking-strict" },
    folder: path === STDOUT ? undefined : dirname(resolve(deps.cwd, path)),
    [Symbol.asyncDispose]: close,
  };
}

async function readPolicy({ auditPolicyFile: path }: AuditSettings, deps: InstanceDeps) {
  if (path === undefined) return DEFAULT_AUDIT_POLICY;
  const policy = parseAuditPolicy(await readRequiredFile(path, deps, "audit policy"));
  if (policy.ok) return policy.value;
  throw new AppError("config_invalid", `cannot use audit policy "${path}": ${policy.error.join("; ")}`, {
    hint: "docs/guides/monitoring.md has an example",
  });
}

function openSink(
  path: string,
  settings: AuditSettings,
  deps: InstanceDeps,
): { readonly sink: AuditSink; close(): Promise<void> } {
  if (path === STDOUT) return { sink: { write: (line) => (deps.stdout.write(`${line}\n`), true) }, close: doNothing };
  const file = openFile(resolve(deps.cwd, path), settings, deps);
  const report = createLossReporter(path, deps);
  return {
    async close() {
      await file[Symbol.asyncDispose]();
    },
    sink: {
      write(line) {
        try {
          file.append(line);
          return true;
        } catch (error) {
          report(error);
          return false;
        }
      },
    },
  };
}

function openFile(path: string, settings: AuditSettings, deps: InstanceDeps) {
  try {
    return openLogFile({
      path,
      maxBytes: (settings.auditLogMaxsize || 100) * MEGABYTE,
      maxAgeDays: settings.auditLogMaxage,
      maxBackups: settings.auditLogMaxbackup,
      compress: settings.auditLogCompress,
    }, deps);
  } catch (cause) {
    throw new AppError("io", `cannot open audit log "${settings.auditLogPath}": ${getErrorMessage(cause)}`, {
      cause,
      hint: "use a path that can be written",
    });
  }
}

/** Creates a function that logs the first lost event and then, once a minute, the number of lost events. */
function createLossReporter(path: string, { clock, logger }: InstanceDeps): (error: unknown) => void {
  let silentUntil = 0;
  let lost = 0;
  return (error) => {
    lost += 1;
    const now = clock.elapsedMs();
    if (now < silentUntil) return;
    logger.error("audit events lost", { path, lost, error: getErrorMessage(error) });
    silentUntil = now + REPORT_INTERVAL_MS;
    lost = 0;
  };
}

function doNothing(): Promise<void> {
  return Promise.resolve();
}

/** The path, the size and the retention of a log file. */
export interface LogFileOptions extends Retention {
  readonly path: string;
  readonly maxBytes: number;
}

/** An open log file. Disposing it waits for compression to finish. */
interface LogFile extends AsyncDisposable {
  /**
   * Appends a line. Throws the system's error; a part that was written is then removed, at the latest before the next
   * line.
   */
  append(line: string): void;
}

/**
 * Opens the file for appending, and creates it (0600) and its folder (0700) if they are missing. Throws the system's
 * error.
 */
export function openLogFile(
  options: LogFileOptions,
  { clock, logger }: { readonly clock: Pick<Clock, "now">; readonly logger: Logger },
): LogFile {
  const { path, maxBytes } = options;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let file = openForAppend(path);
  let size = fstatSync(file).size;
  const whole = measureWholeLines(file, size);
  /** True when part of a line follows the whole lines: after a killed run, or after a failed write. */
  let isTorn = whole < size;
  size = whole;
  let isStuck = false;
  removeTornLine();
  let cleaning = cleanUp();

  /** Truncates the torn line. When the system refuses, as for an append-only file, it becomes a separate line. */
  function removeTornLine(): void {
    if (!isTorn) return;
    try {
      ftruncateSync(file, size);
      isTorn = false;
    } catch {
      // The next line or the next start tries again.
    }
  }

  /**
   * Renames the full file to a backup. If that fails, the file grows beyond its limit, because a long log is better
   * than none.
   */
  function rotate(): void {
    try {
      const next = replaceFile(path, clock.now());
      closeSync(file);
      file = next;
      size = 0;
      isTorn = false;
      isStuck = false;
      cleaning = cleaning.then(cleanUp);
    } catch (error) {
      if (!isStuck) {
        logger.warn("a full log file cannot be rotated and keeps growing", { path, error: getErrorMessage(error) });
      }
      isStuck = true;
    }
  }

  async function cleanUp(): Promise<void> {
    try {
      const folder = dirname(path);
      const plan = planLogBackups(basename(path), await readdir(folder), options, clock.now());
      for (const name of plan.remove) await rm(join(folder, name), { force: true });
      for (const name of plan.compress) await compress(join(folder, name));
    } catch (error) {
      logger.warn("old log files cannot be cleaned up", { path, error });
    }
  }

  return {
    append(line) {
      removeTornLine();
      if (size > 0 && size + Buffer.byteLength(line) + 1 > maxBytes) rotate();
      const bytes = Buffer.from(isTorn ? `\n${line}\n` : `${line}\n`, "utf8");
      let done = 0;
      try {
        while (done < bytes.length) done += writeSync(file, bytes, done);
      } catch (error) {
        isTorn ||= done > 0;
        removeTornLine();
        throw error;
      }
      size = isTorn ? fstatSync(file).size : size + bytes.length;
      isTorn = false;
    },
    async [Symbol.asyncDispose]() {
      await cleaning;
      removeTornLine();
      closeSync(file);
    },
  };
}

/** Opens the file. A file that may be written but not read is accepted too. */
function openForAppend(path: string): number {
  try {
    return openSync(path, "a+", SECRET_MODE);
  } catch (error) {
    if (["EACCES", "EPERM"].includes(findErrorCode(error))) return openSync(path, "a", SECRET_MODE);
    throw error;
  }
}

/** Measures the whole lines of a file. A file without a line end, or that cannot be read, counts as whole. */
function measureWholeLines(file: number, size: number): number {
  try {
    return findLineStart(file, size) || size;
  } catch {
    return size;
  }
}

/** Renames the file to a backup and opens a new one in its place. When that fails, the file stays where it is. */
function replaceFile(path: string, now: Date): number {
  const unfinished = `${path}.tmp`;
  const next = openSync(unfinished, "a", SECRET_MODE);
  try {
    const backup = findFreeName(path, now);
    const isMoved = moveToBackup(path, backup);
    try {
      renameSync(unfinished, path);
    } catch (error) {
      if (isMoved) renameSync(backup, path);
      throw error;
    }
    return next;
  } catch (error) {
    closeSync(next);
    throw error;
  }
}

function findFreeName(path: string, now: Date): string {
  let at = now;
  while (existsSync(join(dirname(path), formatBackupName(path, at)))) at = new Date(at.getTime() + 1);
  return join(dirname(path), formatBackupName(path, at));
}

/** Renames the file; returns false when it no longer exists. */
function moveToBackup(path: string, backup: string): boolean {
  try {
    renameSync(path, backup);
    return true;
  } catch (error) {
    if (findErrorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/**
 * Compresses a backup. Only a complete file gets the final name, so a killed run is repeated. File and name are synced
 * before the original is removed, because a power failure must not lose both.
 */
async function compress(path: string): Promise<void> {
  const unfinished = `${path}${UNFINISHED}`;
  const target = createWriteStream(unfinished, { mode: SECRET_MODE, flush: true });
  await pipeline(createReadStream(path), createGzip(), target);
  await rename(unfinished, `${path}${COMPRESSED}`);
  await syncDirectory(dirname(path));
  await rm(path, { force: true });
}

/** The limits of old log files; zero means no limit. */
interface Retention {
  readonly maxAgeDays: number;
  readonly maxBackups: number;
  readonly compress: boolean;
}

/** The names of the old files to remove and to compress. */
interface LogBackupPlan {
  readonly remove: readonly string[];
  readonly compress: readonly string[];
}

const COMPRESSED = ".gz";
/** The end of the name of a compressed file that is not complete. */
const UNFINISHED = `${COMPRESSED}.tmp`;
const STAMP = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})\.(\d{3})$/;

export function formatBackupName(file: string, at: Date): string {
  const { prefix, extension } = splitFileName(file);
  return `${prefix}${at.toISOString().slice(0, 23).replaceAll(":", "-")}${extension}`;
}

/**
 * Decides which backups of a log in a folder to remove and to compress; other files are ignored. An incomplete compressed
 * file is always removed, because its backup may be gone.
 */
export function planLogBackups(file: string, names: readonly string[], retention: Retention, now: Date): LogBackupPlan {
  const backups = names
    .flatMap((name) => {
      const at = findBackupTime(file, name);
      return at === undefined ? [] : [{ name, at, plain: name.replace(/\.gz$/, "") }];
    })
    .sort((a, b) => b.at - a.at || (a.name < b.name ? -1 : 1));
  const newest = new Set([...new Set(backups.map(({ plain }) => plain))].slice(0, retention.maxBackups || Infinity));
  const oldest = retention.maxAgeDays === 0 ? -Infinity : now.getTime() - retention.maxAgeDays * DAY_MS;
  const isKept = ({ plain, at }: { readonly plain: string; readonly at: number }) => newest.has(plain) && at >= oldest;
  const unfinished = names.filter((name) =>
    name.endsWith(UNFINISHED) && findBackupTime(file, name.slice(0, -UNFINISHED.length)) !== undefined
  );
  return {
    remove: [...unfinished, ...backups.filter((backup) => !isKept(backup)).map(({ name }) => name)],
    compress: retention.compress
      ? backups.filter((backup) => isKept(backup) && !backup.name.endsWith(COMPRESSED)).map(({ name }) => name)
      : [],
  };
}

function splitFileName(file: string): { readonly prefix: string; readonly extension: string } {
  const name = basename(file);
  const extension = extname(name);
  return { prefix: `${name.slice(0, name.length - extension.length)}-`, extension };
}

function findBackupTime(file: string, name: string): number | undefined {
  const { prefix, extension } = splitFileName(file);
  const plain = name.endsWith(`${extension}${COMPRESSED}`) ? name.slice(0, -COMPRESSED.length) : name;
  if (!plain.startsWith(prefix) || !plain.endsWith(extension)) return undefined;
  const stamp = STAMP.exec(plain.slice(prefix.length, plain.length - extension.length));
  if (stamp === null) return undefined;
  const [, day, hour, minute, second, milli] = stamp;
  const time = Date.parse(`${day}T${hour}:${minute}:${second}.${milli}Z`);
  return Number.isNaN(time) ? undefined : time;
}
