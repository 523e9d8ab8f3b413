/** The machine, its images, volumes and container runtime in a node's status (staging `k8s.io/api/core/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { BOOL, INT64, list, message, STRING } from "./fields.ts";

/** Identity and software versions of a machine. */
export const nodeSystemInfoSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeSystemInfo",
  description: "Identity and software versions of a machine.",
  fields: {
    machineID: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "Content of /etc/machine-id or its like.",
    },
    systemUUID: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      description: "Identifier from the firmware.",
    },
    bootID: {
      number: 3,
      type: STRING,
      presence: "always",
      required: true,
      description: "Identifier of the current boot.",
    },
    kernelVersion: {
      number: 4,
      type: STRING,
      presence: "always",
      required: true,
      description: "Version of the kernel.",
    },
    osImage: {
      number: 5,
      type: STRING,
      presence: "always",
      required: true,
      description: "Name of the operating system release.",
    },
    containerRuntimeVersion: {
      number: 6,
      type: STRING,
      presence: "always",
      required: true,
      description: "Name and version of the container runtime.",
    },
    kubeletVersion: {
      number: 7,
      type: STRING,
      presence: "always",
      required: true,
      description: "Version of the kubelet.",
    },
    kubeProxyVersion: {
      number: 8,
      type: STRING,
      presence: "always",
      required: true,
      description: "Former version of kube-proxy.",
    },
    operatingSystem: { number: 9, type: STRING, presence: "always", required: true, description: "linux or windows." },
    architecture: {
      number: 10,
      type: STRING,
      presence: "always",
      required: true,
      description: "Processor architecture in Go's spelling.",
    },
    swap: {
      number: 11,
      type: message(() => nodeSwapStatusSchema),
      presence: "optional",
      description: "Swap space of the machine.",
    },
    runningInUserNamespace: {
      number: 12,
      type: BOOL,
      presence: "optional",
      description: "True when the kubelet runs in a user namespace.",
    },
  },
};

const nodeSwapStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeSwapStatus",
  description: "Swap space of a machine.",
  fields: {
    capacity: { number: 1, type: INT64, presence: "optional", description: "Size in bytes." },
  },
};

/** A container image on a node. */
export const containerImageSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ContainerImage",
  description: "A container image on a node.",
  fields: {
    names: {
      number: 1,
      type: list(STRING),
      presence: "always",
      listType: "atomic",
      description: "Names the image is known by.",
    },
    sizeBytes: { number: 2, type: INT64, presence: "omitempty", description: "Size in bytes." },
  },
};

/** A volume attached to a node. */
export const attachedVolumeSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.AttachedVolume",
  description: "A volume attached to a node.",
  fields: {
    name: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.UniqueVolumeName",
      description: "Name of the volume.",
    },
    devicePath: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      description: "Device under which it appears.",
    },
  },
};

/** A handler of the container runtime. */
export const nodeRuntimeHandlerSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeRuntimeHandler",
  description: "A handler of the container runtime.",
  fields: {
    name: {
      number: 1,
      type: STRING,
      presence: "always",
      description: "Name of the handler; empty for the default one.",
    },
    features: {
      number: 2,
      type: message(() => nodeRuntimeHandlerFeaturesSchema),
      presence: "optional",
      description: "What the handler can do.",
    },
  },
};

const nodeRuntimeHandlerFeaturesSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeRuntimeHandlerFeatures",
  description: "What a runtime handler can do.",
  fields: {
    recursiveReadOnlyMounts: {
      number: 1,
      type: BOOL,
      presence: "optional",
      description: "True when it knows recursive read-only mounts.",
    },
    userNamespaces: { number: 2, type: BOOL, presence: "optional", description: "True when it knows user namespaces." },
  },
};

/** Features of a container runtime apart from those of its handlers. */
export const nodeFeaturesSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.NodeFeatures",
  description: "Features of a container runtime apart from those of its handlers.",
  fields: {
    supplementalGroupsPolicy: {
      number: 1,
      type: BOOL,
      presence: "optional",
      description: "True when it knows the policy for supplemental groups.",
    },
  },
};
