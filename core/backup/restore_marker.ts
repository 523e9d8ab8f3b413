/**
 * The note that stands in an etcd while a backup is restored into it: first written, last removed. While it is there no
 * server of ours uses what is beside it, and it says how a restore that was interrupted goes on.
 */
import { err, ok, type Result } from "../lib/result.ts";

/** A restore that is under way. */
export interface RestoreMarker {
  /** Which backup: the digest of its manifest. */
  readonly backup: string;
  /** When that was made. */
  readonly createdAt: string;
  /** What was there before is put aside still, the backup's objects are written, or somebody else wrote among them. */
  readonly phase: "puttingAside" | "writing" | "spoiled";
  /** Prefixes that hold what was there before, the newest last. */
  readonly aside: readonly string[];
}

/** Where it stands; no resource has this name. */
export const RESTORE_MARKER_KEY = "/registry/tlsboot/restore";

const KIND = "EtcdRestore";
const API_VERSION = "tlsboot/v1alpha1";
const PHASES: readonly unknown[] = ["puttingAside", "writing", "spoiled"] satisfies RestoreMarker["phase"][];

/** Writes one. */
export function formatRestoreMarker(marker: RestoreMarker): string {
  return JSON.stringify({ apiVersion: API_VERSION, kind: KIND, ...marker });
}

/** Reads one. */
export function parseRestoreMarker(text: string): Result<RestoreMarker, string> {
  let value: Readonly<Record<string, unknown>>;
  try {
    value = JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return err("it is not JSON");
  }
  const { apiVersion, kind, backup, createdAt, phase, aside } = value ?? {};
  if (kind !== KIND || apiVersion !== API_VERSION) return err("it is of another version");
  const isWhole = typeof backup === "string" && typeof createdAt === "string" && Array.isArray(aside) &&
    aside.every((prefix) => typeof prefix === "string");
  if (!isWhole || !PHASES.includes(phase)) return err("it is not complete");
  return ok({ backup, createdAt, phase: phase as RestoreMarker["phase"], aside });
}

/** What is found below a prefix before a restore into it. */
export interface RestoreGround {
  readonly marker: RestoreMarker | undefined;
  /** Something else than the marker is there. */
  readonly isTaken: boolean;
}

/** What a restore does to a prefix. Nothing there is ever removed: it is left, or given another prefix. */
export type RestorePlan =
  /** Write every object that is not there; `resumed` means that some may be. */
  | { readonly kind: "write"; readonly resumed: boolean; readonly aside: readonly string[] }
  /** First put aside what is there, below the last prefix of `aside`. */
  | { readonly kind: "putAside"; readonly aside: readonly string[] }
  | { readonly kind: "refuse"; readonly why: "taken" | "otherBackup" | "halfAside" | "spoiled" };

/** Decides; `place` is where what is there would go. */
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
