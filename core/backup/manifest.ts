/** What a backup says of itself, last in its archive: without it, the archive is not whole. */
import { err, ok, type Result } from "../lib/result.ts";
import { type OmittedResource, parseOmitted } from "./omitted.ts";

/** One part of the archive. */
export interface BackupPart {
  readonly path: string;
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** The whole backup. */
export interface BackupManifest {
  readonly createdAt: string;
  readonly tlsbootVersion: string;
  /** Of the data directory. */
  readonly dataFormat: number;
  /** The newest revision that was given away when it was made. */
  readonly revision: number;
  readonly objects: number;
  readonly parts: readonly BackupPart[];
  /** What an etcd had beside; nothing where it is not said. */
  readonly leftOut?: readonly OmittedResource[];
}

/** Where it stands in the archive. */
export const MANIFEST_PATH = "manifest.json";
/** Files of the data directory. */
export const FILES_PREFIX = "files/";
/** Objects of the database or the etcd, in pieces. */
export const OBJECTS_PREFIX = "objects/";

/** Parts are files of a data directory and pieces of objects: one object may be large, but not like this. */
export const MAX_PART_BYTES = 268_435_456;

/** Version of the archive. */
export const BACKUP_FORMAT = 1;
const KIND = "Backup";
const API_VERSION = "tlsboot/v1alpha1";

/** Writes one. */
export function formatManifest(manifest: BackupManifest): string {
  const head = { apiVersion: API_VERSION, kind: KIND, format: BACKUP_FORMAT };
  return `${JSON.stringify({ ...head, ...manifest }, undefined, 2)}\n`;
}

/** Reads one; `dataFormat` is the newest that this program knows. */
export function parseManifest(text: string, dataFormat: number): Result<BackupManifest, string> {
  let value: Readonly<Record<string, unknown>>;
  try {
    value = JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return err("its manifest is not JSON");
  }
  if (value?.["kind"] !== KIND || value["apiVersion"] !== API_VERSION) {
    return err("its manifest is not the manifest of a backup");
  }
  const format = Number(value["format"]);
  if (format !== BACKUP_FORMAT) return err(`it has format ${format}, this program knows ${BACKUP_FORMAT}`);
  const manifest = value as object as BackupManifest;
  if (!Number.isSafeInteger(manifest.dataFormat)) return err("its manifest is not complete");
  if (manifest.dataFormat > dataFormat) {
    return err(`its data directory has format ${manifest.dataFormat}, this program knows ${dataFormat}`);
  }
  const isTold = typeof manifest.createdAt === "string" && typeof manifest.tlsbootVersion === "string";
  const isWhole = isTold && Number.isSafeInteger(manifest.revision) && Number.isSafeInteger(manifest.objects) &&
    Array.isArray(manifest.parts) && parseOmitted(manifest.leftOut).ok;
  return isWhole ? ok(manifest) : err("its manifest is not complete");
}

/**
 * Why a part cannot be what the archive says; undefined when its path leads nowhere else. A backslash separates folders
 * on Windows, so no part has one.
 */
export function findPathFault(path: string): string | undefined {
  const parts = path.split("/");
  const isInside = parts.every((part) => part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part));
  if (path === MANIFEST_PATH || (isInside && (path.startsWith(FILES_PREFIX) || path.startsWith(OBJECTS_PREFIX)))) {
    return undefined;
  }
  return `"${path}" has no place in a backup`;
}

/** Why the parts that were read are not those of the manifest; undefined when they are. */
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
 * What revisions are raised by when a backup is restored: more than anybody was given between the backup and the loss of
 * what came after it. Clients that hold one of those are told that it is gone, and read anew. As etcdutl's documentation
 * advises for `--bump-revision`.
 */
export const REVISION_BUMP = 1_000_000_000;
