/** Node with its spec and status (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BOOL, INT32, list, map, mergedBy, message, QUANTITY, STRING, TIME } from "./fields.ts";
import { METADATA } from "./object_meta.ts";
import {
  attachedVolumeSchema,
  containerImageSchema,
  nodeFeaturesSchema,
  nodeRuntimeHandlerSchema,
  nodeSystemInfoSchema,
} from "./node_system.ts";

const nodeSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.Node",
  description: "A machine of the cluster.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => nodeSpecSchema),
      presence: "always",
      description: "How the node is to be used.",
    },
    status: {
      number: 3,
      type: message(() => nodeStatusSchema),
      presence: "always",
      description: "What the node last reported.",
    },
  },
};

/** Describes the kind `Node` of `v1` for all codecs. */
export const nodeKind: Kind = {
  group: "",
  version: "v1",
  kind: "Node",
  listKind: "NodeList",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  categories: [],
  namespaced: false,
  schema: nodeSchema,
};

const nodeSpecSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeSpec",
  description: "How a node is to be used.",
  fields: {
    podCIDR: { number: 1, type: STRING, presence: "omitempty", description: "Network of the node's pods." },
    podCIDRs: {
      number: 7,
      type: list(STRING),
      presence: "omitempty",
      listType: "set",
      patchStrategy: "merge",
      description: "Networks of the node's pods, at most one for each IP family; the first equals podCIDR.",
    },
    providerID: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "Identifier of the machine at the cloud provider.",
    },
    unschedulable: { number: 4, type: BOOL, presence: "omitempty", description: "True keeps new pods away." },
    taints: {
      number: 5,
      type: list(message(() => taintSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Marks that repel pods.",
    },
    configSource: {
      number: 6,
      type: message(() => nodeConfigSourceSchema),
      presence: "optional",
      description: "Former source of the kubelet's configuration; has no effect.",
    },
    externalID: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "Former identifier of the machine; not used.",
    },
    podPreemptionPolicy: {
      number: 8,
      type: message(() => nodePodPreemptionPolicySchema),
      presence: "optional",
      description: "How pods of the node may be preempted.",
    },
  },
};

const taintSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.Taint",
  description: "A mark that repels pods which do not tolerate it.",
  fields: {
    key: { number: 1, type: STRING, presence: "always", required: true, description: "Key of the mark." },
    value: { number: 2, type: STRING, presence: "omitempty", description: "Value of the mark." },
    effect: {
      number: 3,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.TaintEffect",
      enum: ["NoExecute", "NoSchedule", "PreferNoSchedule"],
      description: "NoSchedule, PreferNoSchedule or NoExecute.",
    },
    timeAdded: { number: 4, type: TIME, presence: "optional", description: "When the mark was made." },
  },
};

const nodeConfigSourceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeConfigSource",
  description: "Where the kubelet's configuration came from.",
  fields: {
    configMap: {
      number: 2,
      type: message(() => configMapNodeConfigSourceSchema),
      presence: "optional",
      description: "A ConfigMap with the configuration.",
    },
  },
};

const configMapNodeConfigSourceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ConfigMapNodeConfigSource",
  description: "A ConfigMap with a kubelet's configuration.",
  fields: {
    namespace: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "Namespace of the ConfigMap.",
    },
    name: { number: 2, type: STRING, presence: "always", required: true, description: "Name of the ConfigMap." },
    uid: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      goType: "types.UID",
      description: "Identifier of the ConfigMap; status only.",
    },
    resourceVersion: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "Version of the ConfigMap; status only.",
    },
    kubeletConfigKey: {
      number: 5,
      type: STRING,
      presence: "always",
      required: true,
      description: "Key under which the configuration stands.",
    },
  },
};

const nodePodPreemptionPolicySchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodePodPreemptionPolicy",
  description: "How pods of a node may be preempted.",
  fields: {
    disableResizePreemption: {
      number: 1,
      type: list(STRING),
      presence: "omitempty",
      listType: "set",
      description: "Controllers on whose request no pod is preempted for the resize of another.",
    },
  },
};

const nodeStatusSchema: MessageSchema = {
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
      ...mergedBy("type"),
      description: "Latest observations, such as Ready.",
    },
    addresses: {
      number: 5,
      type: list(message(() => nodeAddressSchema)),
      presence: "omitempty",
      ...mergedBy("type"),
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

const nodeConditionSchema: MessageSchema = {
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

const nodeAddressSchema: MessageSchema = {
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

const nodeDaemonEndpointsSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeDaemonEndpoints",
  description: "Ports of a node's daemons.",
  fields: {
    kubeletEndpoint: {
      number: 1,
      type: message(() => daemonEndpointSchema),
      presence: "always",
      description: "The port on which the kubelet listens.",
    },
  },
};

const daemonEndpointSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.DaemonEndpoint",
  description: "A port of a daemon.",
  fields: {
    Port: { number: 1, type: INT32, presence: "always", required: true, description: "The port number." },
  },
};

const nodeConfigStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeConfigStatus",
  description: "State of the former dynamic configuration.",
  fields: {
    assigned: {
      number: 1,
      type: message(() => nodeConfigSourceSchema),
      presence: "optional",
      description: "Configuration that was assigned to the node.",
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
