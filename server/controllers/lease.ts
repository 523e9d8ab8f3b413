/** What the holder of a Lease writes, and when somebody else may take it (client-go `tools/leaderelection`). Pure. */
import type { Lease, LeaseSpec } from "../../core/kube/coordination_v1.ts";
import { formatMicroTime } from "../../core/kube/meta.ts";

/** A lease as it was last seen to change. Only our own time is used: the holder's clock may be wrong. */
export interface ObservedLease {
  readonly lease: Lease;
  /** When it was seen to change, in elapsed milliseconds: a clock that is set must not end or prolong a term. */
  readonly at: number;
}

/** Who asks, and for how long it would hold the lease. */
export interface Candidate {
  readonly identity: string;
  readonly leaseDurationMs: number;
}

/** True when somebody holds the lease and has not been silent for longer than its duration. */
export function isHeldAt(observed: ObservedLease, elapsedMs: number): boolean {
  const { holderIdentity = "", leaseDurationSeconds = 0 } = observed.lease.spec;
  return holderIdentity !== "" && observed.at + leaseDurationSeconds * 1000 > elapsedMs;
}

/** The same lease, unless it changed: then it is observed from now on. */
export function observe(known: ObservedLease | undefined, lease: Lease, elapsedMs: number): ObservedLease {
  const changed = known === undefined || JSON.stringify(known.lease.spec) !== JSON.stringify(lease.spec);
  // The resourceVersion may be newer although nothing of the record changed.
  return { lease, at: changed ? elapsedMs : known.at };
}

/** The record of a candidate that takes the lease, or keeps it. `spec` is the present record, if any. */
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

/** The record of a lease given up: anybody may take it at once. */
export function releaseLease(spec: LeaseSpec, now: Date): LeaseSpec {
  const { holderIdentity: _gone, ...rest } = spec;
  const time = formatMicroTime(now);
  return { ...rest, leaseDurationSeconds: 1, acquireTime: time, renewTime: time };
}
