/** What a node is told (staging `k8s.io/api/core/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { BOOL, list, message, STRING, TIME } from "./_fields.ts";

/** How a node is to be used. */
export const nodeSpecSchema: MessageSchema = {
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

/** A mark that repels pods which do not tolerate it. */
export const taintSchema: MessageSchema = {
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

/** Where the kubelet's configuration came from. */
export const nodeConfigSourceSchema: MessageSchema = {
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

/** A ConfigMap with a kubelet's configuration. */
export const configMapNodeConfigSourceSchema: MessageSchema = {
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

/** How pods of a node may be preempted. */
export const nodePodPreemptionPolicySchema: MessageSchema = {
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
