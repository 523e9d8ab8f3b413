/** The manifest of a backup. It is the last entry of the archive, so an archive without a manifest is truncated. */
import { isRecord, tryParseJson } from "../../core/lib/record.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { TLSBOOT_API_VERSION } from "../../core/version.ts";

/** One entry of the archive. */
export interface BackupPart {
  readonly path: string;
  readonly size: number;
  /** The SHA-256 digest in hexadecimal. */
  readonly sha256: string;
}

/** The manifest, which lists every part of a backup. */
export interface BackupManifest {
  readonly createdAt: string;
  readonly tlsbootVersion: string;
  readonly dataFormat: number;
  /** The newest revision at the time of the backup. */
  readonly revision: number;
  readonly objects: number;
  readonly parts: readonly BackupPart[];
  /** The objects of an etcd that the backup omits. */
  readonly omitted?: readonly OmittedResource[];
}

export const MANIFEST_PATH = "manifest.json";
/** The prefix of the files of the data directory. */
export const FILES_PREFIX = "files/";
/** The prefix of the objects of the database or the etcd, which are stored in pieces. */
export const OBJECTS_PREFIX = "objects/";

/** The largest part. Parts are files of a data directory and pieces of objects, which are much smaller. */
export const MAX_PART_BYTES = 268_435_456;

/** The format version of the archive. */
const BACKUP_FORMAT = 1;
const KIND = "Backup";

export function formatManifest(manifest: BackupManifest): string {
  const head = { apiVersion: TLSBOOT_API_VERSION, kind: KIND, format: BACKUP_FORMAT };
  return `${JSON.stringify({ ...head, ...manifest }, undefined, 2)}\n`;
}

/** Parses a manifest; `dataFormat` is the newest data format that this program knows. */
export function parseManifest(text: string, dataFormat: number): Result<BackupManifest, string> {
  const value = tryParseJson(text);
  if (value === undefined) return err("its manifest is not JSON");
  if (!isRecord(value) || value["kind"] !== KIND || value["apiVersion"] !== TLSBOOT_API_VERSION) {
    return err("its manifest is not the manifest of a backup");
  }
  const format = Number(value["format"]);
  if (format !== BACKUP_FORMAT) return err(`it has format ${format}, but this program knows only ${BACKUP_FORMAT}`);
  const manifest = value as object as BackupManifest;
  if (!Number.isSafeInteger(manifest.dataFormat)) return err("its manifest is not complete");
  if (manifest.dataFormat > dataFormat) {
    return err(`its data directory has format ${manifest.dataFormat}, but this program knows only ${dataFormat}`);
  }
  const hasOrigin = typeof manifest.createdAt === "string" && typeof manifest.tlsbootVersion === "string";
  const isWhole = hasOrigin && Number.isSafeInteger(manifest.revision) && Number.isSafeInteger(manifest.objects) &&
    Array.isArray(manifest.parts) && parseOmitted(manifest.omitted).ok;
  return isWhole ? ok(manifest) : err("its manifest is not complete");
}

/**
 * Returns why a path is not allowed in an archive; undefined if it is allowed. A backslash separates folders on
 * Windows, so no part contains one.
 */
export function findPathFault(path: string): string | undefined {
  const parts = path.split("/");
  const isInside = parts.every((part) => part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part));
  if (path === MANIFEST_PATH || (isInside && (path.startsWith(FILES_PREFIX) || path.startsWith(OBJECTS_PREFIX)))) {
    return undefined;
  }
  return `"${path}" has no place in a backup`;
}

/** Compares the parts of the archive with the manifest, and returns the first difference. */
export function findPartsFault(manifest: BackupManifest, read: readonly BackupPart[]): string | undefined {
  const wanted = new Map(manifest.parts.map((part) => [part.path, part]));
  for (const { path, size, sha256 } of read) {
    const part = wanted.get(path);
    if (part === undefined) return `"${path}" is not in its manifest`;
    if (part.size !== size || part.sha256 !== sha256) return `"${path}" is damaged`;
    wanted.delete(path);
  }
  const [missing] = wanted.keys();
  return missing === undefined ? undefined : `"${missing}" is missing`;
}

/**
 * The increase of the revision by a restore: more than the revisions that any server has handed out since the backup.
 * Clients with such a revision get `410 Gone` and list again, as etcdutl's documentation advises for `--bump-revision`.
 */
export const REVISION_BUMP = 1_000_000_000;

export interface OmittedResource {
  /** The resource as in keys: `pods`, `example.com/widgets`. */
  readonly resource: string;
  readonly objects: number;
}

export function countOmitted(keys: Iterable<string>): readonly OmittedResource[] {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const resource = parseResource(key);
    counts.set(resource, (counts.get(resource) ?? 0) + 1);
  }
  return [...counts].map(([resource, objects]) => ({ resource, objects }))
    .sort((a, b) => a.resource < b.resource ? -1 : 1);
}

/** Formats the omitted resources: `pods (12), example.com/widgets (1)`. */
export function describeOmitted(omitted: readonly OmittedResource[]): string {
  return omitted.map(({ resource, objects }) => `${resource} (${objects})`).join(", ");
}

export function parseOmitted(value: unknown): Result<readonly OmittedResource[], string> {
  if (value === undefined) return ok([]);
  const isList = Array.isArray(value) && value.every(isOmittedResource);
  return isList ? ok(value) : err("its list of omitted objects is not complete");
}

function isOmittedResource(value: unknown): value is OmittedResource {
  if (typeof value !== "object" || value === null) return false;
  const { resource, objects } = value as Readonly<Record<string, unknown>>;
  return typeof resource === "string" && Number.isSafeInteger(objects);
}

/** Parses the resource of a key: `/registry/pods/…`, or with a group `/registry/example.com/widgets/…`. */
function parseResource(key: string): string {
  const [, , first = "", second = ""] = key.split("/");
  return first.includes(".") && second !== "" ? `${first}/${second}` : first;
}
