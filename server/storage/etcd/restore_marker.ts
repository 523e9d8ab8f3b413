/**
 * The marker that is in etcd while a backup is restored into it, and the plan of a restore that finds one. The marker
 * is written first and removed last. While it exists, no tlsboot server uses the prefix, and an interrupted restore
 * continues from it.
 */
import { Buffer } from "node:buffer";
import { TLSBOOT_API_VERSION } from "../../../core/version.ts";
import { isRecord, tryParseJson } from "../../../core/lib/record.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { AppError } from "../../../core/errors.ts";
import type { EtcdClient } from "./client.ts";
import type { EtcdKeyValue } from "./wire.ts";
import { normalizePrefix } from "./prefix.ts";

/** A restore that has begun but not ended. */
export interface RestoreMarker {
  /** The backup, identified by the digest of its manifest. */
  readonly backup: string;
  /** When the backup was made. */
  readonly createdAt: string;
  /** The old objects are being moved, the backup's objects are being written, or another client has written among them. */
  readonly phase: "puttingAside" | "writing" | "spoiled";
  /** The prefixes of the old objects, the newest last. */
  readonly aside: readonly string[];
}

/** The key of the marker. No resource has this name. */
export const RESTORE_MARKER_KEY = "/registry/tlsboot/restore";

const KIND = "EtcdRestore";
const PHASES: readonly unknown[] = ["puttingAside", "writing", "spoiled"] satisfies RestoreMarker["phase"][];

/** Formats a marker as JSON text. */
export function formatRestoreMarker(marker: RestoreMarker): string {
  return JSON.stringify({ apiVersion: TLSBOOT_API_VERSION, kind: KIND, ...marker });
}

/** Parses the JSON text of a marker. */
export function parseRestoreMarker(text: string): Result<RestoreMarker, string> {
  const value = tryParseJson(text);
  if (value === undefined) return err("it is not JSON");
  const { apiVersion, kind, backup, createdAt, phase, aside } = isRecord(value) ? value : {};
  if (kind !== KIND || apiVersion !== TLSBOOT_API_VERSION) return err("it has a different version");
  const isWhole = typeof backup === "string" && typeof createdAt === "string" && Array.isArray(aside) &&
    aside.every((prefix) => typeof prefix === "string");
  if (!isWhole || !PHASES.includes(phase)) return err("it is not complete");
  return ok({ backup, createdAt, phase: phase as RestoreMarker["phase"], aside });
}

/** The contents of a prefix before a restore. */
export interface PrefixState {
  readonly marker: RestoreMarker | undefined;
  /** Whether there is anything apart from the marker. */
  readonly isTaken: boolean;
}

/** The action of a restore on a prefix. It never deletes objects; it keeps them or moves them to another prefix. */
export type RestorePlan =
  /** Write every missing object; with `resumed` some may already exist. */
  | { readonly kind: "write"; readonly resumed: boolean; readonly aside: readonly string[] }
  /** First move the existing objects below the last prefix of `aside`. */
  | { readonly kind: "moveAside"; readonly aside: readonly string[] }
  | { readonly kind: "refuse"; readonly why: "taken" | "otherBackup" | "halfAside" | "spoiled" };

/** Plans a restore; `place` is the prefix to which existing objects would move. */
export function planEtcdRestore(
  { marker, isTaken }: PrefixState,
  { backup, force, place }: { readonly backup: string; readonly force: boolean; readonly place: string },
): RestorePlan {
  const aside = marker?.aside ?? [];
  if (marker?.phase === "writing" && marker.backup === backup) return { kind: "write", resumed: true, aside };
  if (!isTaken) return { kind: "write", resumed: false, aside };
  if (marker?.phase === "puttingAside") {
    return force ? { kind: "moveAside", aside } : { kind: "refuse", why: "halfAside" };
  }
  if (force) return { kind: "moveAside", aside: [...aside, place] };
  if (marker === undefined) return { kind: "refuse", why: "taken" };
  return { kind: "refuse", why: marker.phase === "spoiled" ? "spoiled" : "otherBackup" };
}

export interface FoundMarker {
  readonly marker: RestoreMarker;
  readonly modRevision: number;
}

/** Finds the marker. Throws AppError `storage_corrupt` for one that cannot be read. */
export async function findRestoreMarker(client: Pick<EtcdClient, "range">): Promise<FoundMarker | undefined> {
  return findMarker((await client.range({ key: RESTORE_MARKER_KEY })).kvs);
}

function findMarker(kvs: readonly EtcdKeyValue[]): FoundMarker | undefined {
  const kv = kvs.find(({ key }) => key === RESTORE_MARKER_KEY);
  return kv === undefined ? undefined : { marker: readMarker(kv), modRevision: kv.modRevision };
}

function readMarker({ value }: EtcdKeyValue): RestoreMarker {
  const marker = parseRestoreMarker(Buffer.from(value).toString("utf8"));
  if (marker.ok) return marker.value;
  throw new AppError("storage_corrupt", `cannot read "${RESTORE_MARKER_KEY}" in etcd: ${marker.error}`, {
    hint: "a restore was not finished there: complete it with the version of tlsboot that began it",
  });
}

/** Throws AppError `storage_corrupt` while a restore is under way below the prefix, or was interrupted. */
export async function assertNotRestoring(client: Pick<EtcdClient, "range">, prefix: string): Promise<void> {
  assertNoMarker((await client.range({ key: RESTORE_MARKER_KEY })).kvs, prefix);
}

/** Does the same check for keys below the prefix that were already read. */
export function assertNoMarker(kvs: readonly EtcdKeyValue[], prefix: string): void {
  const found = findMarker(kvs);
  if (found === undefined) return;
  const place = `"${normalizePrefix(prefix)}" in etcd`;
  throw new AppError(
    "storage_corrupt",
    `cannot use keys below ${place}: a restore of the backup of ${found.marker.createdAt} is not finished`,
    {
      hint:
        "wait for tlsboot restore if it still runs; otherwise run the same command again, which continues where it stopped",
    },
  );
}
