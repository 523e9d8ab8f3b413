/** The metadata that all objects have (apimachinery `pkg/apis/meta/v1/types.go`). */
import type { ManagedFieldsEntry, ObjectMeta, OwnerReference } from "../meta.ts";
import type { FieldSchema, MessageSchema } from "../schema.ts";
import {
  always,
  atomic,
  BOOL,
  describeMessages,
  INT64,
  JSON_VALUE,
  map,
  mergedBy,
  named,
  omitempty,
  optional,
  required,
  set,
  STRING,
  TIME,
  UID,
} from "./notation.ts";

const { atomicMessage, message } = describeMessages("io.k8s.apimachinery.pkg.apis.meta.v1");

const ownerReference = atomicMessage<OwnerReference>(
  "OwnerReference",
  "One owner of an object, in the same namespace or cluster-wide.",
  {
    apiVersion: required(5, STRING, "Group and version of the owner."),
    kind: required(1, STRING, "Kind of the owner."),
    name: required(3, STRING, "Name of the owner."),
    uid: required(4, UID, "Identifier of the owner."),
    controller: optional(6, BOOL, "True for the one owner that manages the object."),
    blockOwnerDeletion: optional(7, BOOL, "True keeps the owner from a foreground deletion until this object is gone."),
  },
);

/** The fields that one manager set by one kind of operation. */
export const managedFieldsEntrySchema: MessageSchema = message<ManagedFieldsEntry>(
  "ManagedFieldsEntry",
  "The fields one manager set by one kind of operation.",
  {
    manager: omitempty(1, STRING, "Name of the manager."),
    operation: omitempty(2, named("v1.ManagedFieldsOperationType"), "Apply or Update."),
    apiVersion: omitempty(3, STRING, "API version in which the fields are named."),
    time: optional(4, TIME, "When the entry was made or its fields last changed."),
    fieldsType: omitempty(6, STRING, "Format of the field set; always FieldsV1."),
    fieldsV1: optional(7, JSON_VALUE, "The field set as a tree."),
    subresource: omitempty(8, STRING, "Subresource that was written, or empty."),
  },
);

/** Identity and bookkeeping that every object carries. */
export const objectMetaSchema: MessageSchema = message<ObjectMeta>(
  "ObjectMeta",
  "Identity and bookkeeping that every object carries.",
  {
    name: omitempty(1, STRING, "Name of the object, unique within its namespace (or cluster) and kind."),
    generateName: omitempty(2, STRING, "Prefix from which the server makes a name when none is given."),
    namespace: omitempty(3, STRING, "Namespace the object lives in; empty for cluster-wide kinds."),
    selfLink: omitempty(4, STRING, "Former URL of the object; no longer filled."),
    uid: omitempty(5, UID, "Identifier the server gives to this very object; never used again."),
    resourceVersion: omitempty(6, STRING, "Opaque version of the stored object, for guarded updates and watches."),
    generation: omitempty(7, INT64, "Counts the changes of the desired state."),
    creationTimestamp: omitempty(8, TIME, "When the server stored the object for the first time."),
    deletionTimestamp: optional(9, TIME, "When the object is to be gone; set by a graceful deletion."),
    deletionGracePeriodSeconds: optional(
      10,
      INT64,
      "Seconds the object may take to end once its deletion was requested.",
    ),
    labels: omitempty(11, map(STRING), "Short keys and values to select objects by."),
    annotations: omitempty(12, map(STRING), "Free text for tools; not selectable."),
    ownerReferences: omitempty(
      13,
      mergedBy("uid", ownerReference),
      "Objects this one depends on and is collected with.",
    ),
    finalizers: omitempty(
      14,
      { ...set(STRING), patchStrategy: "merge" },
      "Names of the controllers that must act before the object can be removed.",
    ),
    // An empty list asks to forget all managers, and must not look like none; it is never stored.
    managedFields: optional(
      17,
      atomic(managedFieldsEntrySchema),
      "Which manager set which fields; written by the server.",
    ),
  },
);

/** The metadata field, which is the first field of every kind. */
export const METADATA: FieldSchema = always(1, objectMetaSchema, "Standard metadata of the object.");
