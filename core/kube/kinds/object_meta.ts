/** The metadata that all objects have (apimachinery `pkg/apis/meta/v1/types.go`). */
import type { FieldSchema, MessageSchema } from "../schema.ts";
import { BOOL, INT64, JSON_VALUE, list, map, mergedBy, message, STRING, TIME } from "./fields.ts";

/** Identity and bookkeeping that every object carries. */
export const objectMetaSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
  description: "Identity and bookkeeping that every object carries.",
  fields: {
    name: {
      number: 1,
      type: STRING,
      presence: "omitempty",
      description: "Name of the object, unique within its namespace (or cluster) and kind.",
    },
    generateName: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "Prefix from which the server makes a name when none is given.",
    },
    namespace: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "Namespace the object lives in; empty for cluster-wide kinds.",
    },
    selfLink: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "Former URL of the object; no longer filled.",
    },
    uid: {
      number: 5,
      type: STRING,
      presence: "omitempty",
      goType: "types.UID",
      description: "Identifier the server gives to this very object; never used again.",
    },
    resourceVersion: {
      number: 6,
      type: STRING,
      presence: "omitempty",
      description: "Opaque version of the stored object, for guarded updates and watches.",
    },
    generation: {
      number: 7,
      type: INT64,
      presence: "omitempty",
      description: "Counts the changes of the desired state.",
    },
    creationTimestamp: {
      number: 8,
      type: TIME,
      presence: "omitempty",
      description: "When the server stored the object for the first time.",
    },
    deletionTimestamp: {
      number: 9,
      type: TIME,
      presence: "optional",
      description: "When the object is to be gone; set by a graceful deletion.",
    },
    deletionGracePeriodSeconds: {
      number: 10,
      type: INT64,
      presence: "optional",
      description: "Seconds the object may take to end once its deletion was requested.",
    },
    labels: {
      number: 11,
      type: map(STRING),
      presence: "omitempty",
      description: "Short keys and values to select objects by.",
    },
    annotations: {
      number: 12,
      type: map(STRING),
      presence: "omitempty",
      description: "Free text for tools; not selectable.",
    },
    ownerReferences: {
      number: 13,
      type: list(message(() => ownerReferenceSchema)),
      presence: "omitempty",
      ...mergedBy("uid"),
      description: "Objects this one depends on and is collected with.",
    },
    finalizers: {
      number: 14,
      type: list(STRING),
      presence: "omitempty",
      listType: "set",
      patchStrategy: "merge",
      description: "Names of the controllers that must act before the object can be removed.",
    },
    managedFields: {
      number: 17,
      type: list(message(() => managedFieldsEntrySchema)),
      // An empty list asks to forget all managers, and must not look like none; it is never stored.
      presence: "optional",
      listType: "atomic",
      description: "Which manager set which fields; written by the server.",
    },
  },
};

const ownerReferenceSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
  description: "One owner of an object, in the same namespace or cluster-wide.",
  mapType: "atomic",
  fields: {
    apiVersion: {
      number: 5,
      type: STRING,
      presence: "always",
      required: true,
      description: "Group and version of the owner.",
    },
    kind: { number: 1, type: STRING, presence: "always", required: true, description: "Kind of the owner." },
    name: { number: 3, type: STRING, presence: "always", required: true, description: "Name of the owner." },
    uid: {
      number: 4,
      type: STRING,
      presence: "always",
      required: true,
      goType: "types.UID",
      description: "Identifier of the owner.",
    },
    controller: {
      number: 6,
      type: BOOL,
      presence: "optional",
      description: "True for the one owner that manages the object.",
    },
    blockOwnerDeletion: {
      number: 7,
      type: BOOL,
      presence: "optional",
      description: "True keeps the owner from a foreground deletion until this object is gone.",
    },
  },
};

/** The fields that one manager set by one kind of operation. */
export const managedFieldsEntrySchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
  description: "The fields one manager set by one kind of operation.",
  fields: {
    manager: { number: 1, type: STRING, presence: "omitempty", description: "Name of the manager." },
    operation: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      goType: "v1.ManagedFieldsOperationType",
      description: "Apply or Update.",
    },
    apiVersion: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "API version in which the fields are named.",
    },
    time: {
      number: 4,
      type: TIME,
      presence: "optional",
      description: "When the entry was made or its fields last changed.",
    },
    fieldsType: {
      number: 6,
      type: STRING,
      presence: "omitempty",
      description: "Format of the field set; always FieldsV1.",
    },
    fieldsV1: { number: 7, type: JSON_VALUE, presence: "optional", description: "The field set as a tree." },
    subresource: {
      number: 8,
      type: STRING,
      presence: "omitempty",
      description: "Subresource that was written, or empty.",
    },
  },
};

/** The metadata field, which is the first field of every kind. */
export const METADATA: FieldSchema = {
  number: 1,
  type: message(() => objectMetaSchema),
  presence: "always",
  description: "Standard metadata of the object.",
};
