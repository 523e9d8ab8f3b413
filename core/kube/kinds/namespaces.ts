/** Namespace (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { list, message, STRING, TIME } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** A scope for the names of other objects. */
export const namespaceSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.Namespace",
  description: "A scope for the names of other objects.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => namespaceSpecSchema),
      presence: "always",
      description: "Desired behaviour of the namespace.",
    },
    status: {
      number: 3,
      type: message(() => namespaceStatusSchema),
      presence: "always",
      description: "Observed state of the namespace.",
    },
  },
};

/** `Namespace` of `v1`. */
export const namespaceKind: Kind = {
  group: "",
  version: "v1",
  kind: "Namespace",
  listKind: "NamespaceList",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  categories: [],
  namespaced: false,
  schema: namespaceSchema,
};

/** Desired behaviour of a namespace. */
export const namespaceSpecSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NamespaceSpec",
  description: "Desired behaviour of a namespace.",
  fields: {
    finalizers: {
      number: 1,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      goType: "[]v1.FinalizerName",
      description: "Names of those who must act before the namespace may vanish.",
    },
  },
};

/** Observed state of a namespace. */
export const namespaceStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NamespaceStatus",
  description: "Observed state of a namespace.",
  fields: {
    phase: {
      number: 1,
      type: STRING,
      presence: "omitempty",
      goType: "v1.NamespacePhase",
      enum: ["Active", "Terminating"],
      description: "Active or Terminating.",
    },
    conditions: {
      number: 2,
      type: list(message(() => namespaceConditionSchema)),
      presence: "omitempty",
      listType: "map",
      listMapKeys: ["type"],
      patchStrategy: "merge",
      patchMergeKey: "type",
      description: "Latest observations of its deletion.",
    },
  },
};

/** One observation about a namespace. */
export const namespaceConditionSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NamespaceCondition",
  description: "One observation about a namespace.",
  fields: {
    type: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.NamespaceConditionType",
      description: "What the condition is about.",
    },
    status: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.ConditionStatus",
      description: "True, False or Unknown.",
    },
    lastTransitionTime: { number: 4, type: TIME, presence: "always", description: "When the status last changed." },
    reason: { number: 5, type: STRING, presence: "omitempty", description: "Short machine-readable cause." },
    message: { number: 6, type: STRING, presence: "omitempty", description: "The cause in words." },
  },
};
