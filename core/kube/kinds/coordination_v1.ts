/** Lease of `coordination.k8s.io/v1` (staging `k8s.io/api/coordination/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { INT32, message, MICRO_TIME, STRING } from "./fields.ts";
import { METADATA } from "./object_meta.ts";

const leaseSchema: ObjectSchema = {
  name: "io.k8s.api.coordination.v1.Lease",
  description: "Records which candidate leads, and until when.",
  fields: {
    metadata: METADATA,
    spec: { number: 2, type: message(() => leaseSpecSchema), presence: "always", description: "Holder and times." },
  },
};

/** Describes the kind `Lease` of `coordination.k8s.io/v1` for all codecs. */
export const leaseKind: Kind = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  listKind: "LeaseList",
  plural: "leases",
  singular: "lease",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: leaseSchema,
};

const leaseSpecSchema: MessageSchema = {
  name: "io.k8s.api.coordination.v1.LeaseSpec",
  description: "Holder and times of a lease.",
  fields: {
    holderIdentity: { number: 1, type: STRING, presence: "optional", description: "Holder of the lease." },
    leaseDurationSeconds: {
      number: 2,
      type: INT32,
      presence: "optional",
      description: "Seconds after the last renewal at which others may take it.",
    },
    acquireTime: { number: 3, type: MICRO_TIME, presence: "optional", description: "When the holder got it." },
    renewTime: { number: 4, type: MICRO_TIME, presence: "optional", description: "When the holder last renewed it." },
    leaseTransitions: { number: 5, type: INT32, presence: "optional", description: "How often it changed hands." },
    strategy: {
      number: 6,
      type: STRING,
      presence: "optional",
      goType: "v1.CoordinatedLeaseStrategy",
      description: "How the holder is chosen in coordinated election.",
    },
    preferredHolder: {
      number: 7,
      type: STRING,
      presence: "optional",
      description: "Candidate that should take over the lease.",
    },
  },
};
