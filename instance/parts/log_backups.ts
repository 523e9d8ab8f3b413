/**
 * The names of the old files of a log, and which of them to remove. The names are those of lumberjack, which
 * kube-apiserver uses: `audit-2026-11-25T10-00-00.000.log`.
 */
import { basename, extname } from "node:path";

/** The limits of old log files; zero means no limit. */
export interface Retention {
  readonly maxAgeDays: number;
  readonly maxBackups: number;
  readonly compress: boolean;
}

/** The names of the old files to remove and to compress. */
export interface LogBackupPlan {
  readonly remove: readonly string[];
  readonly compress: readonly string[];
}

const DAY_MS = 86_400_000;
const COMPRESSED = ".gz";
const STAMP = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})\.(\d{3})$/;

export function formatBackupName(file: string, at: Date): string {
  const { prefix, extension } = splitFileName(file);
  return `${prefix}${at.toISOString().slice(0, 23).replaceAll(":", "-")}${extension}`;
}

/** Decides which backups of a log in a folder to remove and to compress; other files are ignored. */
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
  return {
    remove: backups.filter((backup) => !isKept(backup)).map(({ name }) => name),
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
