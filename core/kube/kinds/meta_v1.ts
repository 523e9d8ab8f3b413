/**
 * The metadata that all objects have, and the messages of `meta/v1` that are not resources: lists, Status, deletion, watch
 * events and selectors (apimachinery `pkg/apis/meta/v1/types.go`). Their types are in `core/kube/meta.ts`.
 */
import type {
  Condition,
  DeleteOptions,
  LabelSelector,
  ManagedFieldsEntry,
  ObjectMeta,
  OwnerReference,
  Status,
  StatusCause,
  StatusDetails,
} from "../meta.ts";
import type { MessageSchema } from "../schema.ts";
import {
  always,
  atomic,
  BOOL,
  describeMessages,
  type Field,
  INT32,
  INT64,
  JSON_VALUE,
  list,
  map,
  MERGED_SET,
  mergedBy,
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

const ownerReference = atomicMessage<OwnerReference>("OwnerReference", "An owner of an object.", {
  apiVersion: required(5, STRING, "Group and version of the owner."),
  kind: required(1, STRING, "Kind of the owner."),
  name: required(3, STRING, "Name of the owner."),
  uid: required(4, UID, "Identifier of the owner."),
  controller: optional(6, BOOL, "True for the one owner that manages the object."),
  blockOwnerDeletion: optional(7, BOOL, "True keeps the owner from a foreground deletion until this object is gone."),
});

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

export const objectMetaSchema: MessageSchema = message<ObjectMeta>("ObjectMeta", "Identity and other metadata.", {
  name: omitempty(1, STRING, "Name of the object, unique within its namespace (or cluster) and kind."),
  generateName: omitempty(2, STRING, "Prefix of the name that the server generates if there is none."),
  namespace: omitempty(3, STRING, "Namespace of the object; empty for cluster-wide kinds."),
  selfLink: omitempty(4, STRING, "Former URL of the object; no longer filled."),
  uid: omitempty(5, UID, "Identifier that the server gives to this object; never reused."),
  resourceVersion: omitempty(6, STRING, "Opaque version of the stored object, for guarded updates and watches."),
  generation: omitempty(7, INT64, "Counts the changes of the desired state."),
  creationTimestamp: omitempty(8, TIME, "When the server stored the object for the first time."),
  deletionTimestamp: optional(9, TIME, "When the object will be removed; set by a graceful deletion."),
  deletionGracePeriodSeconds: optional(10, INT64, "Seconds that the object has to terminate after a delete request."),
  labels: omitempty(11, map(STRING), "Short keys and values to select objects by."),
  annotations: omitempty(12, map(STRING), "Free text for tools; not selectable."),
  ownerReferences: omitempty(
    13,
    mergedBy("uid", ownerReference),
    "Owners of the object; it is deleted once all are gone.",
  ),
  finalizers: omitempty(14, MERGED_SET, "Controllers that must act before the object can be removed."),
  // An empty list removes all managers, so it differs from an absent one. It is never stored.
  managedFields: optional(17, atomic(managedFieldsEntrySchema), "Which manager set which fields; set by the server."),
});

/** The metadata field, which is the first field of every kind. */
export const METADATA: Field<"always"> = always(1, objectMetaSchema, "Standard metadata of the object.");

const shardInfo = message("ShardInfo", "The shard a list was restricted to.", {
  selector: required(1, STRING, "The shard selector of the request."),
});

/** Resource version, continue token and remaining item count of a list. */
export const listMetaSchema: MessageSchema = message("ListMeta", "Metadata of a list.", {
  selfLink: omitempty(1, STRING, "Former URL of the list; no longer filled."),
  resourceVersion: omitempty(2, STRING, "Version of the store at which the list was read; a watch may start here."),
  continue: omitempty(3, STRING, "Token for the next page; empty on the last one."),
  remainingItemCount: optional(4, INT64, "How many items the following pages hold, where that is known."),
  shardInfo: optional(5, shardInfo, "Present when the list holds one shard of the collection."),
});

const statusCause = message<StatusCause>("StatusCause", "One fault.", {
  reason: omitempty(1, named("v1.CauseType"), "Machine-readable class of the fault."),
  message: omitempty(2, STRING, "The fault in words."),
  field: omitempty(3, STRING, "Path of the field at fault."),
});

const statusDetails = message<StatusDetails>("StatusDetails", "The object of a status, and the causes.", {
  name: omitempty(1, STRING, "Name of the object."),
  group: omitempty(2, STRING, "API group of the object."),
  kind: omitempty(3, STRING, "Kind, or resource, of the object."),
  uid: omitempty(6, UID, "Identifier of the object."),
  causes: omitempty(4, atomic(statusCause), "Every fault that was found."),
  retryAfterSeconds: omitempty(5, INT32, "Seconds to wait before trying again."),
});

export const statusSchema: MessageSchema = message<Omit<Status, "kind" | "apiVersion">>(
  "Status",
  "Outcome of a request that returns no object.",
  {
    metadata: always(1, listMetaSchema, "Metadata of the answer."),
    status: omitempty(2, STRING, "Success or Failure."),
    message: omitempty(3, STRING, "The outcome in words."),
    reason: omitempty(4, named("v1.StatusReason"), "Machine-readable class of the failure; may be empty."),
    details: optional(5, statusDetails, "The object, and every cause."),
    code: omitempty(6, INT32, "HTTP status code."),
  },
);

const preconditions = message("Preconditions", "What must be true of the stored object.", {
  uid: optional(1, UID, "Identifier the object must have."),
  resourceVersion: optional(2, STRING, "Version the object must have."),
});

export const deleteOptionsSchema: MessageSchema<DeleteOptions> = message<Omit<DeleteOptions, "kind" | "apiVersion">>(
  "DeleteOptions",
  "Options of a request that deletes objects.",
  {
    gracePeriodSeconds: optional(1, INT64, "Seconds to wait before the deletion; zero deletes at once."),
    preconditions: optional(2, preconditions, "What must be true for the object to be deleted."),
    orphanDependents: optional(3, BOOL, "Older form of propagationPolicy."),
    propagationPolicy: optional(4, named("v1.DeletionPropagation"), "For dependents: Orphan, Background, Foreground."),
    dryRun: omitempty(5, atomic(STRING), "All: go through every stage but delete nothing."),
    ignoreStoreReadErrorWithClusterBreakingPotential: optional(6, BOOL, "Delete an object that cannot be read."),
  },
);

export const partialObjectMetadataSchema: MessageSchema = message(
  "PartialObjectMetadata",
  "An object reduced to its metadata.",
  {
    metadata: METADATA,
  },
);

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

export const conditionSchema: MessageSchema = message<Condition>("Condition", "One observation about an object.", {
  type: required(1, STRING, "Type of the condition, such as Ready or example.com/Ready."),
  status: required(2, named("v1.ConditionStatus"), "True, False or Unknown."),
  observedGeneration: omitempty(3, INT64, "The metadata.generation of the object that was observed."),
  lastTransitionTime: required(4, TIME, "When the status last changed."),
  reason: required(5, STRING, "Short machine-readable cause."),
  message: required(6, STRING, "The cause in words."),
});

export const labelSelectorRequirementSchema: MessageSchema = message("LabelSelectorRequirement", "A label condition.", {
  key: required(1, STRING, "Label that the condition checks."),
  operator: required(2, named("v1.LabelSelectorOperator"), "In, NotIn, Exists or DoesNotExist."),
  values: omitempty(3, atomic(STRING), "Values for In and NotIn; empty otherwise."),
});

export const labelSelectorSchema: MessageSchema = atomicMessage<LabelSelector>(
  "LabelSelector",
  "Selects objects by their labels; all conditions must hold.",
  {
    matchLabels: omitempty(1, map(STRING), "Labels that must be present with these values."),
    matchExpressions: omitempty(2, atomic(labelSelectorRequirementSchema), "Further conditions on labels."),
  },
);

export const fieldSelectorRequirementSchema: MessageSchema = message("FieldSelectorRequirement", "A field condition.", {
  key: required(1, STRING, "Path of the field."),
  operator: required(2, named("v1.FieldSelectorOperator"), "In, NotIn, Exists or DoesNotExist."),
  values: omitempty(3, atomic(STRING), "Values for In and NotIn; empty otherwise."),
});
