/** The machine, its images, volumes and container runtime in a node's status (staging `k8s.io/api/core/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import {
  always,
  atomic,
  BOOL,
  describeMessages,
  INT64,
  named,
  omitempty,
  optional,
  required,
  STRING,
} from "./notation.ts";

const { message } = describeMessages("io.k8s.api.core.v1");

const nodeSwapStatus = message("NodeSwapStatus", "Swap space of a machine.", {
  capacity: optional(1, INT64, "Size in bytes."),
});

/** Identity and software versions of a machine. */
export const nodeSystemInfoSchema: MessageSchema = message(
  "NodeSystemInfo",
  "Identity and software versions of a machine.",
  {
    machineID: required(1, STRING, "Content of /etc/machine-id or its like."),
    systemUUID: required(2, STRING, "Identifier from the firmware."),
    bootID: required(3, STRING, "Identifier of the current boot."),
    kernelVersion: required(4, STRING, "Version of the kernel."),
    osImage: required(5, STRING, "Name of the operating system release."),
    containerRuntimeVersion: required(6, STRING, "Name and version of the container runtime."),
    kubeletVersion: required(7, STRING, "Version of the kubelet."),
    kubeProxyVersion: required(8, STRING, "Former version of kube-proxy."),
    operatingSystem: required(9, STRING, "linux or windows."),
    architecture: required(10, STRING, "Processor architecture in Go's spelling."),
    swap: optional(11, nodeSwapStatus, "Swap space of the machine."),
    runningInUserNamespace: optional(12, BOOL, "True when the kubelet runs in a user namespace."),
  },
);

/** A container image on a node. */
export const containerImageSchema: MessageSchema = message("ContainerImage", "A container image on a node.", {
  names: always(1, atomic(STRING), "Names the image is known by."),
  sizeBytes: omitempty(2, INT64, "Size in bytes."),
});

/** A volume attached to a node. */
export const attachedVolumeSchema: MessageSchema = message("AttachedVolume", "A volume attached to a node.", {
  name: required(1, named("v1.UniqueVolumeName"), "Name of the volume."),
  devicePath: required(2, STRING, "Device under which it appears."),
});

const nodeRuntimeHandlerFeatures = message("NodeRuntimeHandlerFeatures", "What a runtime handler can do.", {
  recursiveReadOnlyMounts: optional(1, BOOL, "True when it knows recursive read-only mounts."),
  userNamespaces: optional(2, BOOL, "True when it knows user namespaces."),
});

/** A handler of the container runtime. */
export const nodeRuntimeHandlerSchema: MessageSchema = message(
  "NodeRuntimeHandler",
  "A handler of the container runtime.",
  {
    name: always(1, STRING, "Name of the handler; empty for the default one."),
    features: optional(2, nodeRuntimeHandlerFeatures, "What the handler can do."),
  },
);

/** Features of a container runtime apart from those of its handlers. */
export const nodeFeaturesSchema: MessageSchema = message(
  "NodeFeatures",
  "Features of a container runtime apart from those of its handlers.",
  {
    supplementalGroupsPolicy: optional(1, BOOL, "True when it knows the policy for supplemental groups."),
  },
);
