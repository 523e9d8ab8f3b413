/**
 * Messages of `meta/v1` that are no resource: lists, Status, deletion, watch events and selectors (apimachinery
 * `pkg/apis/meta/v1/types.go`).
 */
import type { DeleteOptions } from "../meta.ts";
import type { Kind, MessageSchema } from "../schema.ts";
import { BOOL, INT32, INT64, list, map, message, RAW_EXTENSION, STRING, TIME } from "./fields.ts";
import { METADATA } from "./object_meta.ts";

/** Resource version, continue token and remaining item count of a list. */
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
      description: "Present when the list holds one shard of the collection.",
    },
  },
};

const shardInfoSchema: MessageSchema = {
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

const statusDetailsSchema: MessageSchema = {
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

const statusCauseSchema: MessageSchema = {
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

/** The options of a request that deletes objects. */
export const deleteOptionsSchema: MessageSchema<DeleteOptions> = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
  description: "Options of a request that deletes objects.",
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

const preconditionsSchema: MessageSchema = {
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

const known = new WeakMap<Kind, MessageSchema>();

/** Returns the schema of the list of a kind, the same value at every call, so that codecs may cache by it. */
export function getListSchema(kind: Kind): MessageSchema {
  const found = known.get(kind);
  if (found !== undefined) return found;
  const schema: MessageSchema = {
    name: `${kind.schema.name}List`,
    description: `A list of ${kind.kind} objects.`,
    fields: {
      metadata: {
        number: 1,
        type: message(() => listMetaSchema),
        presence: "always",
        description: "Standard metadata of the list.",
      },
      items: {
        number: 2,
        type: list(message(() => kind.schema)),
        presence: "always",
        required: true,
        description: "The objects.",
      },
    },
  };
  known.set(kind, schema);
  return schema;
}

/** A list of objects reduced to their metadata. */
export const partialObjectMetadataListSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList",
  description: "The metadata of several objects.",
  fields: {
    metadata: { number: 1, type: message(() => listMetaSchema), presence: "always" },
    items: { number: 2, type: list(message(() => partialObjectMetadataSchema)), presence: "always" },
  },
};

/** The list in `v1beta1`, which numbers its two fields the other way round. */
export const partialObjectMetadataListV1beta1Schema: MessageSchema = {
  ...partialObjectMetadataListSchema,
  name: "io.k8s.apimachinery.pkg.apis.meta.v1beta1.PartialObjectMetadataList",
  fields: {
    items: { number: 1, type: list(message(() => partialObjectMetadataSchema)), presence: "always" },
    metadata: { number: 2, type: message(() => listMetaSchema), presence: "always" },
  },
};

/** One observation about an object. */
export const conditionSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.Condition",
  description: "One observation about an object.",
  fields: {
    type: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "What the condition is about, such as Ready or example.com/Ready.",
    },
    status: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.ConditionStatus",
      description: "True, False or Unknown.",
    },
    observedGeneration: {
      number: 3,
      type: INT64,
      presence: "omitempty",
      description: "The metadata.generation of the object that was observed.",
    },
    lastTransitionTime: {
      number: 4,
      type: TIME,
      presence: "always",
      required: true,
      description: "When the status last changed.",
    },
    reason: {
      number: 5,
      type: STRING,
      presence: "always",
      required: true,
      description: "Short machine-readable cause.",
    },
    message: { number: 6, type: STRING, presence: "always", required: true, description: "The cause in words." },
  },
};

/** A choice of objects by label; all conditions must hold. */
export const labelSelectorSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
  description: "A choice of objects by label; all conditions must hold.",
  mapType: "atomic",
  fields: {
    matchLabels: {
      number: 1,
      type: map(STRING),
      presence: "omitempty",
      description: "Labels that must be present with these values.",
    },
    matchExpressions: {
      number: 2,
      type: list(message(() => labelSelectorRequirementSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Further conditions on labels.",
    },
  },
};

/** One condition on a label. */
export const labelSelectorRequirementSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
  description: "One condition on a label.",
  fields: {
    key: { number: 1, type: STRING, presence: "always", required: true, description: "Label the condition is about." },
    operator: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.LabelSelectorOperator",
      description: "In, NotIn, Exists or DoesNotExist.",
    },
    values: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Values for In and NotIn; empty otherwise.",
    },
  },
};

/** One condition on a field. */
export const fieldSelectorRequirementSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement",
  description: "One condition on a field.",
  fields: {
    key: { number: 1, type: STRING, presence: "always", required: true, description: "Path of the field." },
    operator: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.FieldSelectorOperator",
      description: "In, NotIn, Exists or DoesNotExist.",
    },
    values: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Values for In and NotIn; empty otherwise.",
    },
  },
};
