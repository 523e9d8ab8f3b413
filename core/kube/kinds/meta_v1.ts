/**
 * Messages of `meta/v1` that are no resource: lists, Status, deletion, watch events and selectors (apimachinery
 * `pkg/apis/meta/v1/types.go`).
 */
import type { Condition, DeleteOptions, Status, StatusCause, StatusDetails } from "../meta.ts";
import type { MessageSchema } from "../schema.ts";
import { METADATA } from "./object_meta.ts";
import {
  always,
  atomic,
  BOOL,
  describeMessages,
  INT32,
  INT64,
  list,
  map,
  named,
  omitempty,
  optional,
  RAW_EXTENSION,
  required,
  STRING,
  TIME,
  UID,
} from "./notation.ts";

const { atomicMessage, message } = describeMessages("io.k8s.apimachinery.pkg.apis.meta.v1");

const shardInfo = message("ShardInfo", "The shard a list was restricted to.", {
  selector: required(1, STRING, "The shard selector of the request."),
});

/** Resource version, continue token and remaining item count of a list. */
export const listMetaSchema: MessageSchema = message("ListMeta", "Bookkeeping of a list.", {
  selfLink: omitempty(1, STRING, "Former URL of the list; no longer filled."),
  resourceVersion: omitempty(2, STRING, "Version of the store at which the list was read; a watch may start here."),
  continue: omitempty(3, STRING, "Token that asks for the next page; empty on the last one."),
  remainingItemCount: optional(4, INT64, "How many items the following pages hold, where that is known."),
  shardInfo: optional(5, shardInfo, "Present when the list holds one shard of the collection."),
});

const statusCause = message<StatusCause>("StatusCause", "One fault.", {
  reason: omitempty(1, named("v1.CauseType"), "Machine-readable class of the fault."),
  message: omitempty(2, STRING, "The fault in words."),
  field: omitempty(3, STRING, "Path of the field at fault."),
});

const statusDetails = message<StatusDetails>("StatusDetails", "Which object a status is about, and why.", {
  name: omitempty(1, STRING, "Name of the object."),
  group: omitempty(2, STRING, "API group of the object."),
  kind: omitempty(3, STRING, "Kind, or resource, of the object."),
  uid: omitempty(6, UID, "Identifier of the object."),
  causes: omitempty(4, atomic(statusCause), "Every single fault that was found."),
  retryAfterSeconds: omitempty(5, INT32, "Seconds to wait before trying again."),
});

/** Outcome of a request that does not answer with an object. */
export const statusSchema: MessageSchema = message<Omit<Status, "kind" | "apiVersion">>(
  "Status",
  "Outcome of a request that does not answer with an object.",
  {
    metadata: always(1, listMetaSchema, "Bookkeeping of the answer."),
    status: omitempty(2, STRING, "Success or Failure."),
    message: omitempty(3, STRING, "The outcome in words."),
    reason: omitempty(4, named("v1.StatusReason"), "Machine-readable class of the failure; may be empty."),
    details: optional(5, statusDetails, "The object concerned and every single cause."),
    code: omitempty(6, INT32, "HTTP status code."),
  },
);

const preconditions = message("Preconditions", "What must hold of the stored object.", {
  uid: optional(1, UID, "Identifier the object must have."),
  resourceVersion: optional(2, STRING, "Version the object must have."),
});

/** The options of a request that deletes objects. */
export const deleteOptionsSchema: MessageSchema<DeleteOptions> = message<Omit<DeleteOptions, "kind" | "apiVersion">>(
  "DeleteOptions",
  "Options of a request that deletes objects.",
  {
    gracePeriodSeconds: optional(1, INT64, "Seconds to wait before the deletion; zero deletes at once."),
    preconditions: optional(2, preconditions, "What must hold for the object to be deleted."),
    orphanDependents: optional(3, BOOL, "Older form of propagationPolicy."),
    propagationPolicy: optional(
      4,
      named("v1.DeletionPropagation"),
      "What becomes of dependents: Orphan, Background or Foreground.",
    ),
    dryRun: omitempty(5, atomic(STRING), "All: go through every stage but delete nothing."),
    ignoreStoreReadErrorWithClusterBreakingPotential: optional(
      6,
      BOOL,
      "Delete an object that cannot be read from the store.",
    ),
  },
);

/** An object reduced to its metadata. */
export const partialObjectMetadataSchema: MessageSchema = message(
  "PartialObjectMetadata",
  "An object reduced to its metadata.",
  {
    metadata: METADATA,
  },
);

/** One change, as a watch reports it. */
export const watchEventSchema: MessageSchema = message("WatchEvent", "One change, as a watch reports it.", {
  type: required(1, STRING, "ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."),
  object: required(2, RAW_EXTENSION, "The object after the change, or before its deletion, or a Status."),
});

/** A list of objects reduced to their metadata. */
export const partialObjectMetadataListSchema: MessageSchema = message(
  "PartialObjectMetadataList",
  "The metadata of several objects.",
  {
    metadata: always(1, listMetaSchema),
    items: always(2, list(partialObjectMetadataSchema)),
  },
);

/** The list in `v1beta1`, which numbers its two fields the other way round. */
export const partialObjectMetadataListV1beta1Schema: MessageSchema = describeMessages(
  "io.k8s.apimachinery.pkg.apis.meta.v1beta1",
).message("PartialObjectMetadataList", "The metadata of several objects.", {
  items: always(1, list(partialObjectMetadataSchema)),
  metadata: always(2, listMetaSchema),
});

/** One observation about an object. */
export const conditionSchema: MessageSchema = message<Condition>("Condition", "One observation about an object.", {
  type: required(1, STRING, "What the condition is about, such as Ready or example.com/Ready."),
  status: required(2, named("v1.ConditionStatus"), "True, False or Unknown."),
  observedGeneration: omitempty(3, INT64, "The metadata.generation of the object that was observed."),
  lastTransitionTime: required(4, TIME, "When the status last changed."),
  reason: required(5, STRING, "Short machine-readable cause."),
  message: required(6, STRING, "The cause in words."),
});

/** One condition on a label. */
export const labelSelectorRequirementSchema: MessageSchema = message(
  "LabelSelectorRequirement",
  "One condition on a label.",
  {
    key: required(1, STRING, "Label the condition is about."),
    operator: required(2, named("v1.LabelSelectorOperator"), "In, NotIn, Exists or DoesNotExist."),
    values: omitempty(3, atomic(STRING), "Values for In and NotIn; empty otherwise."),
  },
);

/** A choice of objects by their labels (`meta/v1` LabelSelector). */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** A choice of objects by label; all conditions must hold. */
export const labelSelectorSchema: MessageSchema = atomicMessage<LabelSelector>(
  "LabelSelector",
  "A choice of objects by label; all conditions must hold.",
  {
    matchLabels: omitempty(1, map(STRING), "Labels that must be present with these values."),
    matchExpressions: omitempty(2, atomic(labelSelectorRequirementSchema), "Further conditions on labels."),
  },
);

/** One condition on a field. */
export const fieldSelectorRequirementSchema: MessageSchema = message(
  "FieldSelectorRequirement",
  "One condition on a field.",
  {
    key: required(1, STRING, "Path of the field."),
    operator: required(2, named("v1.FieldSelectorOperator"), "In, NotIn, Exists or DoesNotExist."),
    values: omitempty(3, atomic(STRING), "Values for In and NotIn; empty otherwise."),
  },
);
