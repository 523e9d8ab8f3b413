/** The state of a certificate pair on disk at one moment, for status commands. */
import { rotationDeadline } from "./rotation.ts";

/** The state of a certificate at a given time. */
export type PairState =
  | "valid"
  /** The latest possible renewal time has passed. */
  | "renewalDue"
  | "expired"
  | "notYetValid";

/** The state, and the period in which a certificate manager renews. */
export interface PairStatus {
  readonly state: PairState;
  readonly renewalFrom: Date;
  readonly renewalBy: Date;
}

/** Determines the state of a leaf certificate. */
export function getPairStatus(leaf: { readonly notBefore: Date; readonly notAfter: Date }, now: Date): PairStatus {
  const renewalFrom = rotationDeadline(leaf, () => 0);
  const renewalBy = rotationDeadline(leaf, () => 1);
  const state = leaf.notAfter < now
    ? "expired"
    : leaf.notBefore > now
    ? "notYetValid"
    : renewalBy <= now
    ? "renewalDue"
    : "valid";
  return { state, renewalFrom, renewalBy };
}
