/** `coordination.k8s.io/v1` Lease: who leads, and until when (staging `k8s.io/api/coordination/v1/types.go`). */
import type { KubeObject } from "./meta.ts";

/** A lease in a namespace. */
export interface Lease extends KubeObject {
  readonly spec: LeaseSpec;
}

/** Holder and times; times are MicroTime text. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
  readonly strategy?: string;
  readonly preferredHolder?: string;
}
