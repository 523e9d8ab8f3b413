/** CSINode of `storage.k8s.io/v1` (staging `k8s.io/api/storage/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { INT32, list, mergedBy, message, STRING, TIME } from "./fields.ts";
import { METADATA } from "./object_meta.ts";

const csiNodeSchema: ObjectSchema = {
  name: "io.k8s.api.storage.v1.CSINode",
  description: "The CSI drivers of a node; named like the node.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => csiNodeSpecSchema),
      presence: "always",
      required: true,
      description: "The drivers.",
    },
    status: {
      number: 3,
      type: message(() => csiNodeStatusSchema),
      presence: "always",
      description: "Health of the node's storage.",
    },
  },
};

/** Describes the kind `CSINode` of `storage.k8s.io/v1` for all codecs. */
export const csiNodeKind: Kind = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSINode",
  listKind: "CSINodeList",
  plural: "csinodes",
  singular: "csinode",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: csiNodeSchema,
};

const csiNodeSpecSchema: MessageSchema = {
  name: "io.k8s.api.storage.v1.CSINodeSpec",
  description: "The CSI drivers of a node.",
  fields: {
    drivers: {
      number: 1,
      type: list(message(() => csiNodeDriverSchema)),
      presence: "always",
      required: true,
      ...mergedBy("name"),
      description: "One entry for each driver.",
    },
  },
};

const csiNodeDriverSchema: MessageSchema = {
  name: "io.k8s.api.storage.v1.CSINodeDriver",
  description: "One CSI driver on a node.",
  fields: {
    name: { number: 1, type: STRING, presence: "always", required: true, description: "Name of the driver." },
    nodeID: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      description: "Name of the node as the driver knows it.",
    },
    topologyKeys: {
      number: 3,
      type: list(STRING),
      presence: "always",
      listType: "atomic",
      description: "Node labels that describe where volumes are reachable.",
    },
    allocatable: {
      number: 4,
      type: message(() => volumeNodeResourcesSchema),
      presence: "optional",
      description: "Resources of the node for this driver's volumes.",
    },
  },
};

const volumeNodeResourcesSchema: MessageSchema = {
  name: "io.k8s.api.storage.v1.VolumeNodeResources",
  description: "How many volumes a node takes.",
  fields: {
    count: {
      number: 1,
      type: INT32,
      presence: "optional",
      description: "Greatest number of volumes; no limit when absent.",
    },
  },
};

const csiNodeStatusSchema: MessageSchema = {
  name: "io.k8s.api.storage.v1.CSINodeStatus",
  description: "Health of a node's storage.",
  fields: {
    storageHealth: {
      number: 1,
      type: list(message(() => storageHealthSchema)),
      presence: "omitempty",
      ...mergedBy("name"),
      description: "One entry for each storage backend.",
    },
  },
};

const storageHealthSchema: MessageSchema = {
  name: "io.k8s.api.storage.v1.StorageHealth",
  description: "Health of one storage backend.",
  fields: {
    name: { number: 1, type: STRING, presence: "always", required: true, description: "Name of the backend." },
    healthConditions: {
      number: 2,
      type: list(message(() => storageHealthConditionSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Latest observations.",
    },
  },
};

const storageHealthConditionSchema: MessageSchema = {
  name: "io.k8s.api.storage.v1.StorageHealthCondition",
  description: "One observation about a storage backend.",
  fields: {
    status: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.StorageHealthStatusType",
      enum: ["StorageDegraded", "StorageUnreachable"],
      description: "Health that was observed.",
    },
    reason: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      description: "Short machine-readable cause.",
    },
    message: { number: 3, type: STRING, presence: "omitempty", description: "The cause in words." },
    accessMode: {
      number: 4,
      type: STRING,
      presence: "optional",
      goType: "v1.PersistentVolumeAccessMode",
      enum: ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"],
      description: "Access mode concerned.",
    },
    volumeMode: {
      number: 5,
      type: STRING,
      presence: "optional",
      goType: "v1.PersistentVolumeMode",
      enum: ["Block", "Filesystem"],
      description: "Volume mode concerned.",
    },
    lastTransitionTime: { number: 6, type: TIME, presence: "always", description: "When the status last changed." },
  },
};
