/** Lists, Status, deletion, watches: what is spoken beside the kinds (apimachinery `pkg/apis/meta/v1/types.go`). */
import type { DeleteOptions } from "../meta.ts";
import type { MessageSchema } from "../schema.ts";
import { BOOL, INT32, INT64, list, message, RAW_EXTENSION, STRING } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Bookkeeping of a list. */
export const listMetaSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
  description: "Bookkeeping of a list.",
  fields: {
    selfLink: {
      number: 1,
      type: STRING,
      presence: "omitempty",
      description: "Former URL of the list; no longer filled.",
    },
    resourceVersion: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "Version of the store at which the list was read; a watch may start here.",
    },
    continue: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "Token that asks for the next page; empty on the last one.",
    },
    remainingItemCount: {
      number: 4,
      type: INT64,
      presence: "optional",
      description: "How many items the following pages hold, where that is known.",
    },
    shardInfo: {
      number: 5,
      type: message(() => shardInfoSchema),
      presence: "optional",
      description: "Tells that the list holds one shard of the collection.",
    },
  },
};

/** The shard a list was restricted to. */
export const shardInfoSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.ShardInfo",
  description: "The shard a list was restricted to.",
  fields: {
    selector: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "The shard selector of the request.",
    },
  },
};

/** Outcome of a request that does not answer with an object. */
export const statusSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
  description: "Outcome of a request that does not answer with an object.",
  fields: {
    metadata: {
      number: 1,
      type: message(() => listMetaSchema),
      presence: "always",
      description: "Bookkeeping of the answer.",
    },
    status: { number: 2, type: STRING, presence: "omitempty", description: "Success or Failure." },
    message: { number: 3, type: STRING, presence: "omitempty", description: "The outcome in words." },
    reason: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      goType: "v1.StatusReason",
      description: "Machine-readable class of the failure; may be empty.",
    },
    details: {
      number: 5,
      type: message(() => statusDetailsSchema),
      presence: "optional",
      description: "The object concerned and every single cause.",
    },
    code: { number: 6, type: INT32, presence: "omitempty", description: "HTTP status code." },
  },
};

/** Which object a status is about, and why. */
export const statusDetailsSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails",
  description: "Which object a status is about, and why.",
  fields: {
    name: { number: 1, type: STRING, presence: "omitempty", description: "Name of the object." },
    group: { number: 2, type: STRING, presence: "omitempty", description: "API group of the object." },
    kind: { number: 3, type: STRING, presence: "omitempty", description: "Kind, or resource, of the object." },
    uid: {
      number: 6,
      type: STRING,
      presence: "omitempty",
      goType: "types.UID",
      description: "Identifier of the object.",
    },
    causes: {
      number: 4,
      type: list(message(() => statusCauseSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Every single fault that was found.",
    },
    retryAfterSeconds: {
      number: 5,
      type: INT32,
      presence: "omitempty",
      description: "Seconds to wait before trying again.",
    },
  },
};

/** One fault. */
export const statusCauseSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause",
  description: "One fault.",
  fields: {
    reason: {
      number: 1,
      type: STRING,
      presence: "omitempty",
      goType: "v1.CauseType",
      description: "Machine-readable class of the fault.",
    },
    message: { number: 2, type: STRING, presence: "omitempty", description: "The fault in words." },
    field: { number: 3, type: STRING, presence: "omitempty", description: "Path of the field at fault." },
  },
};

/** How an object is to be deleted. */
export const deleteOptionsSchema: MessageSchema<DeleteOptions> = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
  description: "How an object is to be deleted.",
  fields: {
    gracePeriodSeconds: {
      number: 1,
      type: INT64,
      presence: "optional",
      description: "Seconds to wait before the deletion; zero deletes at once.",
    },
    preconditions: {
      number: 2,
      type: message(() => preconditionsSchema),
      presence: "optional",
      description: "What must hold for the object to be deleted.",
    },
    orphanDependents: { number: 3, type: BOOL, presence: "optional", description: "Older form of propagationPolicy." },
    propagationPolicy: {
      number: 4,
      type: STRING,
      presence: "optional",
      goType: "v1.DeletionPropagation",
      description: "What becomes of dependents: Orphan, Background or Foreground.",
    },
    dryRun: {
      number: 5,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "All: go through every stage but delete nothing.",
    },
    ignoreStoreReadErrorWithClusterBreakingPotential: {
      number: 6,
      type: BOOL,
      presence: "optional",
      description: "Delete an object that cannot be read from the store.",
    },
  },
};

/** What must hold of the stored object. */
export const preconditionsSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions",
  description: "What must hold of the stored object.",
  fields: {
    uid: {
      number: 1,
      type: STRING,
      presence: "optional",
      goType: "types.UID",
      description: "Identifier the object must have.",
    },
    resourceVersion: { number: 2, type: STRING, presence: "optional", description: "Version the object must have." },
  },
};

/** An object reduced to its metadata. */
export const partialObjectMetadataSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata",
  description: "An object reduced to its metadata.",
  fields: {
    metadata: METADATA,
  },
};

/** One change, as a watch reports it. */
export const watchEventSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
  description: "One change, as a watch reports it.",
  fields: {
    type: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.",
    },
    object: {
      number: 2,
      type: RAW_EXTENSION,
      presence: "always",
      required: true,
      description: "The object after the change, or before its deletion, or a Status.",
    },
  },
};
