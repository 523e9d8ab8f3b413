/** The kinds of the core group except nodes (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BOOL, BYTES, INT32, list, map, mergedBy, message, MICRO_TIME, STRING, TIME } from "./fields.ts";
import { METADATA } from "./object_meta.ts";

const configMapSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.ConfigMap",
  description: "Plain values under short keys.",
  fields: {
    metadata: METADATA,
    immutable: {
      number: 4,
      type: BOOL,
      presence: "optional",
      description: "True forbids any further change of the values.",
    },
    data: { number: 2, type: map(STRING), presence: "omitempty", description: "Values as text." },
    binaryData: {
      number: 3,
      type: map(BYTES),
      presence: "omitempty",
      description: "Values as bytes, base64 in JSON.",
    },
  },
};

/** Describes the kind `ConfigMap` of `v1` for all codecs. */
export const configMapKind: Kind = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  listKind: "ConfigMapList",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  categories: [],
  namespaced: true,
  schema: configMapSchema,
};

const secretSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.Secret",
  description: "Confidential values under short keys.",
  fields: {
    metadata: METADATA,
    immutable: {
      number: 5,
      type: BOOL,
      presence: "optional",
      description: "True forbids any further change of the values.",
    },
    data: { number: 2, type: map(BYTES), presence: "omitempty", description: "The values, base64 in JSON." },
    stringData: {
      number: 4,
      type: map(STRING),
      presence: "omitempty",
      description: "Values as plain text; written only, the server moves them into data.",
    },
    type: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      goType: "v1.SecretType",
      description: "Identifies for programs how to interpret the values.",
    },
  },
};

/** Describes the kind `Secret` of `v1` for all codecs. */
export const secretKind: Kind = {
  group: "",
  version: "v1",
  kind: "Secret",
  listKind: "SecretList",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: secretSchema,
};

const serviceAccountSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.ServiceAccount",
  description: "An identity for programs that run in pods.",
  fields: {
    metadata: METADATA,
    secrets: {
      number: 2,
      type: list(message(() => objectReferenceSchema)),
      presence: "omitempty",
      ...mergedBy("name"),
      description: "Secrets that pods of this account may use.",
    },
    imagePullSecrets: {
      number: 3,
      type: list(message(() => localObjectReferenceSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Secrets to pull images with.",
    },
    automountServiceAccountToken: {
      number: 4,
      type: BOOL,
      presence: "optional",
      description: "Whether pods get a token mounted unless they say otherwise.",
    },
  },
};

/** Describes the kind `ServiceAccount` of `v1` for all codecs. */
export const serviceAccountKind: Kind = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  listKind: "ServiceAccountList",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  categories: [],
  namespaced: true,
  schema: serviceAccountSchema,
};

const namespaceSchema: ObjectSchema = {
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

/** Describes the kind `Namespace` of `v1` for all codecs. */
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

const namespaceSpecSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NamespaceSpec",
  description: "Desired behaviour of a namespace.",
  fields: {
    finalizers: {
      number: 1,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      goType: "[]v1.FinalizerName",
      description: "Names of the controllers that must act before the namespace can be removed.",
    },
  },
};

const namespaceStatusSchema: MessageSchema = {
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
      ...mergedBy("type"),
      description: "Latest observations of its deletion.",
    },
  },
};

const namespaceConditionSchema: MessageSchema = {
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

const eventSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.Event",
  description: "A report of something that happened to an object; kept for a short time.",
  fields: {
    metadata: { ...METADATA, required: true },
    involvedObject: {
      number: 2,
      type: message(() => objectReferenceSchema),
      presence: "always",
      required: true,
      description: "Object the event is about.",
    },
    reason: { number: 3, type: STRING, presence: "omitempty", description: "Short machine-readable cause." },
    message: { number: 4, type: STRING, presence: "omitempty", description: "What happened, in words." },
    source: {
      number: 5,
      type: message(() => eventSourceSchema),
      presence: "always",
      description: "The component that reports the event.",
    },
    firstTimestamp: { number: 6, type: TIME, presence: "always", description: "When it was first seen." },
    lastTimestamp: { number: 7, type: TIME, presence: "always", description: "When it was last seen." },
    count: { number: 8, type: INT32, presence: "omitempty", description: "How often it was seen." },
    type: { number: 9, type: STRING, presence: "omitempty", description: "Normal or Warning." },
    eventTime: {
      number: 10,
      type: MICRO_TIME,
      presence: "always",
      description: "When it was first seen, with microseconds.",
    },
    series: {
      number: 11,
      type: message(() => eventSeriesSchema),
      presence: "optional",
      description: "The series this event belongs to.",
    },
    action: { number: 12, type: STRING, presence: "omitempty", description: "What was done or failed." },
    related: {
      number: 13,
      type: message(() => objectReferenceSchema),
      presence: "optional",
      description: "A second object that takes part.",
    },
    reportingComponent: {
      number: 14,
      type: STRING,
      presence: "always",
      description: "Controller that reports the event.",
    },
    reportingInstance: { number: 15, type: STRING, presence: "always", description: "Which copy of that controller." },
  },
};

/** Describes the kind `Event` of `v1` for all codecs. */
export const eventKind: Kind = {
  group: "",
  version: "v1",
  kind: "Event",
  listKind: "EventList",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: eventSchema,
};

/** Names the component and the node that report an event. */
export const eventSourceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.EventSource",
  description: "The component that reports an event.",
  fields: {
    component: { number: 1, type: STRING, presence: "omitempty", description: "Name of the component." },
    host: { number: 2, type: STRING, presence: "omitempty", description: "Node it runs on." },
  },
};

const eventSeriesSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.EventSeries",
  description: "Describes how often an event has been repeated.",
  fields: {
    count: { number: 1, type: INT32, presence: "omitempty", description: "Occurrences so far." },
    lastObservedTime: { number: 2, type: MICRO_TIME, presence: "always", description: "When it was last seen." },
  },
};

/** Points at another object, or a part of it. */
export const objectReferenceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ObjectReference",
  description: "Points at another object, or a part of it.",
  mapType: "atomic",
  fields: {
    kind: { number: 1, type: STRING, presence: "omitempty", description: "Kind of the object." },
    namespace: { number: 2, type: STRING, presence: "omitempty", description: "Namespace of the object." },
    name: { number: 3, type: STRING, presence: "omitempty", description: "Name of the object." },
    uid: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      goType: "types.UID",
      description: "Identifier of the object.",
    },
    apiVersion: { number: 5, type: STRING, presence: "omitempty", description: "Group and version of the object." },
    resourceVersion: {
      number: 6,
      type: STRING,
      presence: "omitempty",
      description: "Version of the object that is meant.",
    },
    fieldPath: { number: 7, type: STRING, presence: "omitempty", description: "Part of the object that is meant." },
  },
};

const localObjectReferenceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.LocalObjectReference",
  description: "Names an object of the same namespace.",
  mapType: "atomic",
  fields: {
    name: { number: 1, type: STRING, presence: "omitempty", default: "", description: "Name of the object." },
  },
};
