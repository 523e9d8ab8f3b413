/** Lease of `coordination.k8s.io/v1` (staging `k8s.io/api/coordination/v1/types.go`). */
import type { KubeObject } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { describeVersion, namespaced } from "./kind.ts";
import { always, INT32, MICRO_TIME, named, optional, STRING } from "./notation.ts";

const { kind, message } = describeVersion("coordination.k8s.io", "v1", "io.k8s.api.coordination.v1");

/** The holder of a lease and its times, which are MicroTime text. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
  readonly strategy?: string;
  readonly preferredHolder?: string;
}

const leaseSpec = message<LeaseSpec>("LeaseSpec", "Holder and times of a lease.", {
  holderIdentity: optional(1, STRING, "Holder of the lease."),
  leaseDurationSeconds: optional(2, INT32, "Seconds after the last renewal at which others may take it."),
  acquireTime: optional(3, MICRO_TIME, "When the holder got it."),
  renewTime: optional(4, MICRO_TIME, "When the holder last renewed it."),
  leaseTransitions: optional(5, INT32, "How often it changed hands."),
  strategy: optional(6, named("v1.CoordinatedLeaseStrategy"), "How the holder is chosen in coordinated election."),
  preferredHolder: optional(7, STRING, "Candidate that should take over the lease."),
});

/** A record of which candidate leads, and until when. */
export interface Lease extends KubeObject {
  readonly spec: LeaseSpec;
}

/** Describes the kind `Lease` of `coordination.k8s.io/v1` for all codecs. */
export const leaseKind: Kind = kind<Lease>("Lease", namespaced(), "Records which candidate leads, and until when.", {
  spec: always(2, leaseSpec, "Holder and times."),
});
