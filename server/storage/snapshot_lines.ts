/**
 * The line format of a snapshot, which `/tlsboot/snapshot` returns and a backup contains: a head with the revision and the
 * number of objects, then one line of JSON per object.
 */
import { Buffer } from "node:buffer";
import { TLSBOOT_API_VERSION } from "../../core/version.ts";
import { isRecord, tryParseJson } from "../../core/lib/record.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";

/** The first line of a snapshot. */
export interface SnapshotHead {
  readonly revision: number;
  readonly objects: number;
}

/** One object as it is in the storage. */
export interface SnapshotObject {
  readonly key: string;
  /** The revision of the object's last write. */
  readonly revision: number;
  /** The object's JSON in UTF-8. */
  readonly bytes: Uint8Array;
}

const KIND = "Snapshot";

/** Formats the head line, with its newline. */
export function formatSnapshotHead({ revision, objects }: SnapshotHead): Uint8Array {
  return Buffer.from(`${JSON.stringify({ apiVersion: TLSBOOT_API_VERSION, kind: KIND, revision, objects })}\n`);
}

/** Formats the line of an object, with its newline. The JSON of an object contains no newline. */
export function formatSnapshotObject({ key, revision, bytes }: SnapshotObject): Uint8Array {
  return Buffer.concat([Buffer.from(`{"key":${JSON.stringify(key)},"revision":${revision},"object":`), bytes, END]);
}

const END = Buffer.from("}\n");

export function parseSnapshotHead(line: string): Result<SnapshotHead, string> {
  const { apiVersion, kind, revision, objects } = parseRecord(line);
  if (kind !== KIND || apiVersion !== TLSBOOT_API_VERSION) {
    return err("it does not begin like a snapshot of this version");
  }
  if (!isCount(revision) || !isCount(objects)) return err("its head has no revision or no number of objects");
  return ok({ revision, objects });
}

export function parseSnapshotObject(line: string): Result<SnapshotObject, string> {
  const { key, revision, object } = parseRecord(line);
  if (typeof key !== "string" || !key.startsWith("/registry/") || !isCount(revision) || typeof object !== "object") {
    return err("one of its lines is not an object");
  }
  // The bytes are copied, because parsing and formatting the JSON could change them.
  const start = line.indexOf(',"object":', line.indexOf(',"revision":')) + ',"object":'.length;
  return ok({ key, revision, bytes: Buffer.from(line.slice(start, -1)) });
}

function parseRecord(line: string): Readonly<Record<string, unknown>> {
  const value = tryParseJson(line);
  return isRecord(value) ? value : {};
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
