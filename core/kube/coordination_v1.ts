/** Lease of `coordination.k8s.io/v1`, which records the leader (staging `k8s.io/api/coordination/v1/types.go`). */
import type { KubeObject } from "./meta.ts";

/** A record of which candidate leads, and until when. */
export interface Lease extends KubeObject {
  readonly spec: LeaseSpec;
}

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
