/** The rules of Leases in leader election, as pure functions (client-go `tools/leaderelection`). */
import type { Lease, LeaseSpec } from "../core/kube/coordination_v1.ts";
import { formatMicroTime } from "../core/kube/meta.ts";

/** A lease and the time of its last observed change. Only our own clock is used, because the holder's may be wrong. */
export interface ObservedLease {
  readonly lease: Lease;
  /** When the change was observed, in elapsed milliseconds, so that setting the clock does not end or prolong a term. */
  readonly at: number;
}

/** A replica that wants the lease, and how long it would hold it. */
export interface Candidate {
  readonly identity: string;
  readonly leaseDurationMs: number;
}

/** True when the lease has a holder that has renewed it within its duration. */
export function isHeldAt(observed: ObservedLease, elapsedMs: number): boolean {
  const { holderIdentity = "", leaseDurationSeconds = 0 } = observed.lease.spec;
  return holderIdentity !== "" && observed.at + leaseDurationSeconds * 1000 > elapsedMs;
}

/** Updates the observation of a lease; the time starts again when the record has changed. */
export function observeLease(known: ObservedLease | undefined, lease: Lease, elapsedMs: number): ObservedLease {
  const changed = known === undefined || JSON.stringify(known.lease.spec) !== JSON.stringify(lease.spec);
  // The resourceVersion may be newer although the record is the same.
  return { lease, at: changed ? elapsedMs : known.at };
}

/** Creates the record of a candidate that takes or keeps the lease. `spec` is the present record, if any. */
export function claimLease(spec: LeaseSpec | undefined, candidate: Candidate, now: Date): LeaseSpec {
  const mine = spec?.holderIdentity === candidate.identity;
  const time = formatMicroTime(now);
  const transitions = spec?.leaseTransitions ?? 0;
  return {
    ...spec,
    holderIdentity: candidate.identity,
    leaseDurationSeconds: Math.floor(candidate.leaseDurationMs / 1000),
    acquireTime: mine ? spec.acquireTime ?? time : time,
    renewTime: time,
    leaseTransitions: spec === undefined || mine ? transitions : transitions + 1,
  };
}

/** Creates the record of a released lease, which any candidate may take at once. */
export function releaseLease(spec: LeaseSpec, now: Date): LeaseSpec {
  const { holderIdentity: _gone, ...rest } = spec;
  const time = formatMicroTime(now);
  return { ...rest, leaseDurationSeconds: 1, acquireTime: time, renewTime: time };
}
