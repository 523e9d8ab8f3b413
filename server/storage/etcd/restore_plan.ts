/**
 * The marker that an etcd contains while a backup is restored into it. It is written first and removed last. While it
 * exists, no tlsboot server uses the prefix, and an interrupted restore continues from it.
 */
import { TLSBOOT_API_VERSION } from "../../../core/version.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";

/** A restore that has begun and not ended. */
export interface RestoreMarker {
  /** The backup, identified by the digest of its manifest. */
  readonly backup: string;
  /** When the backup was made. */
  readonly createdAt: string;
  /** The old objects are being moved, the backup's objects are being written, or another client has written among them. */
  readonly phase: "puttingAside" | "writing" | "spoiled";
  /** The prefixes that hold the old objects, the newest last. */
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
  let value: Readonly<Record<string, unknown>>;
  try {
    value = JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return err("it is not JSON");
  }
  const { apiVersion, kind, backup, createdAt, phase, aside } = value ?? {};
  if (kind !== KIND || apiVersion !== TLSBOOT_API_VERSION) return err("it is of another version");
  const isWhole = typeof backup === "string" && typeof createdAt === "string" && Array.isArray(aside) &&
    aside.every((prefix) => typeof prefix === "string");
  if (!isWhole || !PHASES.includes(phase)) return err("it is not complete");
  return ok({ backup, createdAt, phase: phase as RestoreMarker["phase"], aside });
}

/** The contents of a prefix before a restore. */
export interface RestoreGround {
  readonly marker: RestoreMarker | undefined;
  /** Whether there is anything apart from the marker. */
  readonly isTaken: boolean;
}

/** The action of a restore on a prefix. It never deletes objects; it keeps them or moves them to another prefix. */
export type RestorePlan =
  /** Write every missing object; with `resumed` some may already exist. */
  | { readonly kind: "write"; readonly resumed: boolean; readonly aside: readonly string[] }
  /** First move the existing objects below the last prefix of `aside`. */
  | { readonly kind: "putAside"; readonly aside: readonly string[] }
  | { readonly kind: "refuse"; readonly why: "taken" | "otherBackup" | "halfAside" | "spoiled" };

/** Plans a restore; `place` is the prefix to which existing objects would move. */
export function planEtcdRestore(
  { marker, isTaken }: RestoreGround,
  { backup, force, place }: { readonly backup: string; readonly force: boolean; readonly place: string },
): RestorePlan {
  const aside = marker?.aside ?? [];
  if (marker?.phase === "writing" && marker.backup === backup) return { kind: "write", resumed: true, aside };
  if (!isTaken) return { kind: "write", resumed: false, aside };
  if (marker?.phase === "puttingAside") {
    return force ? { kind: "putAside", aside } : { kind: "refuse", why: "halfAside" };
  }
  if (force) return { kind: "putAside", aside: [...aside, place] };
  if (marker === undefined) return { kind: "refuse", why: "taken" };
  return { kind: "refuse", why: marker.phase === "spoiled" ? "spoiled" : "otherBackup" };
}
