/** What a node reports (staging `k8s.io/api/core/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { INT32, list, map, message, QUANTITY, STRING, TIME } from "./_fields.ts";
import { nodeConfigSourceSchema } from "./_node_spec.ts";
import {
  attachedVolumeSchema,
  containerImageSchema,
  nodeFeaturesSchema,
  nodeRuntimeHandlerSchema,
  nodeSystemInfoSchema,
} from "./_node_system.ts";

/** What a node last reported. */
export const nodeStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeStatus",
  description: "What a node last reported.",
  fields: {
    capacity: {
      number: 1,
      type: map(QUANTITY),
      presence: "omitempty",
      goType: "v1.ResourceList",
      description: "Resources the machine has.",
    },
    allocatable: {
      number: 2,
      type: map(QUANTITY),
      presence: "omitempty",
      goType: "v1.ResourceList",
      description: "Resources that pods may use.",
    },
    phase: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      goType: "v1.NodePhase",
      enum: ["Pending", "Running", "Terminated"],
      description: "Former life-cycle phase; not used.",
    },
    conditions: {
      number: 4,
      type: list(message(() => nodeConditionSchema)),
      presence: "omitempty",
      listType: "map",
      listMapKeys: ["type"],
      patchStrategy: "merge",
      patchMergeKey: "type",
      description: "Latest observations, such as Ready.",
    },
    addresses: {
      number: 5,
      type: list(message(() => nodeAddressSchema)),
      presence: "omitempty",
      listType: "map",
      listMapKeys: ["type"],
      patchStrategy: "merge",
      patchMergeKey: "type",
      description: "Addresses under which the node is reached.",
    },
    daemonEndpoints: {
      number: 6,
      type: message(() => nodeDaemonEndpointsSchema),
      presence: "always",
      description: "Ports of the node's daemons.",
    },
    nodeInfo: {
      number: 7,
      type: message(() => nodeSystemInfoSchema),
      presence: "always",
      description: "Identity and software versions of the machine.",
    },
    images: {
      number: 8,
      type: list(message(() => containerImageSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Container images present on the node.",
    },
    volumesInUse: {
      number: 9,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      goType: "[]v1.UniqueVolumeName",
      description: "Attachable volumes in use.",
    },
    volumesAttached: {
      number: 10,
      type: list(message(() => attachedVolumeSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Volumes attached to the node.",
    },
    config: {
      number: 11,
      type: message(() => nodeConfigStatusSchema),
      presence: "optional",
      description: "State of the former dynamic configuration.",
    },
    runtimeHandlers: {
      number: 12,
      type: list(message(() => nodeRuntimeHandlerSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Handlers of the container runtime.",
    },
    features: {
      number: 13,
      type: message(() => nodeFeaturesSchema),
      presence: "optional",
      description: "What the container runtime can do.",
    },
    declaredFeatures: {
      number: 14,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Features the kubelet declares.",
    },
  },
};

/** One observation about a node. */
export const nodeConditionSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeCondition",
  description: "One observation about a node.",
  fields: {
    type: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.NodeConditionType",
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
    lastHeartbeatTime: {
      number: 3,
      type: TIME,
      presence: "always",
      description: "When the condition was last reported.",
    },
    lastTransitionTime: { number: 4, type: TIME, presence: "always", description: "When the status last changed." },
    reason: { number: 5, type: STRING, presence: "omitempty", description: "Short machine-readable cause." },
    message: { number: 6, type: STRING, presence: "omitempty", description: "The cause in words." },
  },
};

/** One address of a node. */
export const nodeAddressSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeAddress",
  description: "One address of a node.",
  fields: {
    type: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.NodeAddressType",
      description: "Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.",
    },
    address: { number: 2, type: STRING, presence: "always", required: true, description: "The address." },
  },
};

/** Ports of a node's daemons. */
export const nodeDaemonEndpointsSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeDaemonEndpoints",
  description: "Ports of a node's daemons.",
  fields: {
    kubeletEndpoint: {
      number: 1,
      type: message(() => daemonEndpointSchema),
      presence: "always",
      description: "Where the kubelet listens.",
    },
  },
};

/** A port of a daemon. */
export const daemonEndpointSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.DaemonEndpoint",
  description: "A port of a daemon.",
  fields: {
    Port: { number: 1, type: INT32, presence: "always", required: true, description: "The port number." },
  },
};

/** State of the former dynamic configuration. */
export const nodeConfigStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeConfigStatus",
  description: "State of the former dynamic configuration.",
  fields: {
    assigned: {
      number: 1,
      type: message(() => nodeConfigSourceSchema),
      presence: "optional",
      description: "Configuration the node was told to use.",
    },
    active: {
      number: 2,
      type: message(() => nodeConfigSourceSchema),
      presence: "optional",
      description: "Configuration the node uses.",
    },
    lastKnownGood: {
      number: 3,
      type: message(() => nodeConfigSourceSchema),
      presence: "optional",
      description: "Configuration the node falls back to.",
    },
    error: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "What went wrong with the assigned configuration.",
    },
  },
};
