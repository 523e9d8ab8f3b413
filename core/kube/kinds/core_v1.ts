/** The kinds of the core group except nodes (staging `k8s.io/api/core/v1/types.go`). */
import type { KubeObject } from "../meta.ts";
import type { Kind, MessageSchema } from "../schema.ts";
import { clusterWide, describeVersion, namespaced } from "./kind.ts";
import { METADATA } from "./meta_v1.ts";
import {
  always,
  atomic,
  BOOL,
  BYTES,
  enumerated,
  INT32,
  map,
  mergedBy,
  MICRO_TIME,
  named,
  omitempty,
  optional,
  required,
  STRING,
  TIME,
  UID,
} from "./notation.ts";

const { atomicMessage, kind, message } = describeVersion("", "v1", "io.k8s.api.core.v1");

/** Values that are not confidential, under short keys. */
export interface ConfigMap extends KubeObject {
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
  /** The values are base64 text. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

export const configMapKind: Kind = kind<ConfigMap>("ConfigMap", namespaced("cm"), "Plain values under short keys.", {
  immutable: optional(4, BOOL, "True forbids any further change of the values."),
  data: omitempty(2, map(STRING), "Values as text."),
  binaryData: omitempty(3, map(BYTES), "Values as bytes, base64 in JSON."),
});

/** Confidential data; bootstrap tokens are Secrets of type `bootstrap.kubernetes.io/token`. */
export interface SecretObject extends KubeObject {
  readonly immutable?: boolean;
  /** The values are base64 text. */
  readonly data?: Readonly<Record<string, string>>;
  /** Values as plain text, which the server moves into `data`. */
  readonly stringData?: Readonly<Record<string, string>>;
  readonly type?: string;
}

/** Describes the kind `Secret` of `v1` for all codecs. */
export const secretKind: Kind = kind<SecretObject>("Secret", namespaced(), "Confidential values under short keys.", {
  immutable: optional(5, BOOL, "True forbids any further change of the values."),
  data: omitempty(2, map(BYTES), "The values, base64 in JSON."),
  stringData: omitempty(4, map(STRING), "Values as plain text; written only, the server moves them into data."),
  type: omitempty(3, named("v1.SecretType"), "Identifies for programs how to interpret the values."),
});

/** Points at an object, or at a part of it. */
export interface ObjectReference {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly apiVersion?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

export const objectReferenceSchema: MessageSchema = atomicMessage<ObjectReference>(
  "ObjectReference",
  "Points at another object, or a part of it.",
  {
    kind: omitempty(1, STRING, "Kind of the object."),
    namespace: omitempty(2, STRING, "Namespace of the object."),
    name: omitempty(3, STRING, "Name of the object."),
    uid: omitempty(4, UID, "Identifier of the object."),
    apiVersion: omitempty(5, STRING, "Group and version of the object."),
    resourceVersion: omitempty(6, STRING, "Version of the object that is meant."),
    fieldPath: omitempty(7, STRING, "Part of the object that is meant."),
  },
);

const localObjectReference = atomicMessage("LocalObjectReference", "Names an object of the same namespace.", {
  name: omitempty(1, { type: STRING, default: "" }, "Name of the object."),
});

/** An identity for programs that run in pods. */
export interface ServiceAccount extends KubeObject {
  readonly secrets?: readonly ObjectReference[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
  readonly automountServiceAccountToken?: boolean;
}

export const serviceAccountKind: Kind = kind<ServiceAccount>(
  "ServiceAccount",
  namespaced("sa"),
  "An identity for programs that run in pods.",
  {
    secrets: omitempty(2, mergedBy("name", objectReferenceSchema), "Secrets that pods of this account may use."),
    imagePullSecrets: omitempty(3, atomic(localObjectReference), "Secrets to pull images with."),
    automountServiceAccountToken: optional(4, BOOL, "Whether pods get a token mounted unless they say otherwise."),
  },
);

const namespaceSpec = message("NamespaceSpec", "Desired behaviour of a namespace.", {
  finalizers: omitempty(1, named("[]v1.FinalizerName", atomic(STRING)), "Controllers that must act before removal."),
});

/** One observation about the deletion of a Namespace. */
export interface NamespaceCondition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string | null;
  readonly reason?: string;
  readonly message?: string;
}

const namespaceCondition = message<NamespaceCondition>("NamespaceCondition", "One observation about a namespace.", {
  type: required(1, named("v1.NamespaceConditionType"), "Type of the condition."),
  status: required(2, named("v1.ConditionStatus"), "True, False or Unknown."),
  lastTransitionTime: always(4, TIME, "When the status last changed."),
  reason: omitempty(5, STRING, "Short machine-readable cause."),
  message: omitempty(6, STRING, "The cause in words."),
});

const namespaceStatus = message("NamespaceStatus", "Observed state of a namespace.", {
  phase: omitempty(1, enumerated(["Active", "Terminating"], named("v1.NamespacePhase")), "Active or Terminating."),
  conditions: omitempty(2, mergedBy("type", namespaceCondition), "Latest observations of its deletion."),
});

/** A scope for the names of other objects. */
export interface Namespace extends KubeObject {
  readonly spec: { readonly finalizers?: readonly string[] };
  readonly status: {
    readonly phase?: string;
    readonly conditions?: readonly NamespaceCondition[];
  };
}

export const namespaceKind: Kind = kind<Namespace>(
  "Namespace",
  clusterWide("ns"),
  "A scope for the names of other objects.",
  {
    spec: always(2, namespaceSpec, "Desired behaviour of the namespace."),
    status: always(3, namespaceStatus, "Observed state of the namespace."),
  },
);

/** Names the component and the node that report an event. */
export const eventSourceSchema: MessageSchema = message("EventSource", "The component that reports an event.", {
  component: omitempty(1, STRING, "Name of the component."),
  host: omitempty(2, STRING, "Node it runs on."),
});

const eventSeries = message("EventSeries", "Describes how often an event has been repeated.", {
  count: omitempty(1, INT32, "Occurrences so far."),
  lastObservedTime: always(2, MICRO_TIME, "When it was last seen."),
});

/** A report of something that happened to an object. */
export interface Event extends KubeObject {
  readonly involvedObject: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  readonly source: { readonly component?: string; readonly host?: string };
  readonly firstTimestamp: string | null;
  readonly lastTimestamp: string | null;
  readonly count?: number;
  readonly type?: string;
  readonly eventTime: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string | null };
  readonly action?: string;
  readonly related?: ObjectReference;
  readonly reportingComponent: string;
  readonly reportingInstance: string;
}

export const eventKind: Kind = kind<Event>(
  "Event",
  namespaced("ev"),
  "A report of something that happened to an object; kept for a short time.",
  {
    metadata: { ...METADATA, required: true },
    involvedObject: required(2, objectReferenceSchema, "Object that the event describes."),
    reason: omitempty(3, STRING, "Short machine-readable cause."),
    message: omitempty(4, STRING, "What happened, in words."),
    source: always(5, eventSourceSchema, "The component that reports the event."),
    firstTimestamp: always(6, TIME, "When it was first seen."),
    lastTimestamp: always(7, TIME, "When it was last seen."),
    count: omitempty(8, INT32, "How often it was seen."),
    type: omitempty(9, STRING, "Normal or Warning."),
    eventTime: always(10, MICRO_TIME, "When it was first seen, with microseconds."),
    series: optional(11, eventSeries, "The series this event belongs to."),
    action: omitempty(12, STRING, "What was done or failed."),
    related: optional(13, objectReferenceSchema, "A second object that takes part."),
    reportingComponent: always(14, STRING, "Controller that reports the event."),
    reportingInstance: always(15, STRING, "Which copy of that controller."),
  },
);
