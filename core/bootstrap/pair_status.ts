/** How a pair on disk stands, for whoever asks without waiting. */
import { rotationDeadline } from "./rotation.ts";

/** How a certificate stands at a time. */
export type PairState =
  | "valid"
  /** Every renewal would have happened by now. */
  | "renewalDue"
  | "expired"
  | "notYetValid";

/** State, and the span in which a certificate manager renews. */
export interface PairStatus {
  readonly state: PairState;
  readonly renewalFrom: Date;
  readonly renewalBy: Date;
}

/** Judges a leaf. */
export function judgePair(leaf: { readonly notBefore: Date; readonly notAfter: Date }, now: Date): PairStatus {
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
