/**
 * The kinds that a kubelet writes for its node: Node of core `v1`, CSINode of `storage.k8s.io/v1`, and Lease of
 * `coordination.k8s.io/v1`, by which the node reports that it is alive (staging `k8s.io/api/core/v1/types.go`,
 * `storage/v1/types.go`, `coordination/v1/types.go`).
 */
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion, namespaced } from "./kind.ts";
import {
  always,
  atomic,
  BOOL,
  enumerated,
  INT32,
  INT64,
  map,
  MERGED_SET,
  mergedBy,
  MICRO_TIME,
  named,
  omitempty,
  optional,
  QUANTITY,
  required,
  set,
  STRING,
  TIME,
  UID,
} from "./notation.ts";
import type { KubeObject } from "../meta.ts";

const { kind, message } = describeVersion("", "v1", "io.k8s.api.core.v1");

const nodeSwapStatus = message("NodeSwapStatus", "Swap space of a machine.", {
  capacity: optional(1, INT64, "Size in bytes."),
});

const nodeSystemInfo = message("NodeSystemInfo", "Identity and software versions of a machine.", {
  machineID: required(1, STRING, "Content of /etc/machine-id or a similar file."),
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
});

const containerImage = message("ContainerImage", "A container image on a node.", {
  names: always(1, atomic(STRING), "Names of the image."),
  sizeBytes: omitempty(2, INT64, "Size in bytes."),
});

const attachedVolume = message("AttachedVolume", "A volume attached to a node.", {
  name: required(1, named("v1.UniqueVolumeName"), "Name of the volume."),
  devicePath: required(2, STRING, "Device under which it appears."),
});

const nodeRuntimeHandlerFeatures = message("NodeRuntimeHandlerFeatures", "What a runtime handler can do.", {
  recursiveReadOnlyMounts: optional(1, BOOL, "True when it supports recursive read-only mounts."),
  userNamespaces: optional(2, BOOL, "True when it supports user namespaces."),
});

const nodeRuntimeHandler = message("NodeRuntimeHandler", "A handler of the container runtime.", {
  name: always(1, STRING, "Name of the handler; empty for the default one."),
  features: optional(2, nodeRuntimeHandlerFeatures, "What the handler can do."),
});

const nodeFeatures = message("NodeFeatures", "Features of a container runtime apart from those of its handlers.", {
  supplementalGroupsPolicy: optional(1, BOOL, "True when it supports the policy for supplemental groups."),
});

const taint = message("Taint", "A mark that repels pods which do not tolerate it.", {
  key: required(1, STRING, "Key of the mark."),
  value: omitempty(2, STRING, "Value of the mark."),
  effect: required(
    3,
    enumerated(["NoExecute", "NoSchedule", "PreferNoSchedule"], named("v1.TaintEffect")),
    "NoSchedule, PreferNoSchedule or NoExecute.",
  ),
  timeAdded: optional(4, TIME, "When the taint was added."),
});

const configMapNodeConfigSource = message("ConfigMapNodeConfigSource", "A ConfigMap with a kubelet's configuration.", {
  namespace: required(1, STRING, "Namespace of the ConfigMap."),
  name: required(2, STRING, "Name of the ConfigMap."),
  uid: omitempty(3, UID, "Identifier of the ConfigMap; status only."),
  resourceVersion: omitempty(4, STRING, "Version of the ConfigMap; status only."),
  kubeletConfigKey: required(5, STRING, "Key of the configuration."),
});

const nodeConfigSource = message("NodeConfigSource", "Where the kubelet's configuration came from.", {
  configMap: optional(2, configMapNodeConfigSource, "A ConfigMap with the configuration."),
});

const nodePodPreemptionPolicy = message("NodePodPreemptionPolicy", "How pods of a node may be preempted.", {
  disableResizePreemption: omitempty(1, set(STRING), "Controllers whose requests preempt no pod to resize another."),
});

const nodeSpec = message("NodeSpec", "How a node is to be used.", {
  podCIDR: omitempty(1, STRING, "Network of the node's pods."),
  podCIDRs: omitempty(7, MERGED_SET, "Networks of its pods, one for each IP family; the first is podCIDR."),
  providerID: omitempty(3, STRING, "Identifier of the machine at the cloud provider."),
  unschedulable: omitempty(4, BOOL, "True keeps new pods away."),
  taints: omitempty(5, atomic(taint), "Marks that repel pods."),
  configSource: optional(6, nodeConfigSource, "Former source of the kubelet's configuration; has no effect."),
  externalID: omitempty(2, STRING, "Former identifier of the machine; not used."),
  podPreemptionPolicy: optional(8, nodePodPreemptionPolicy, "How pods of the node may be preempted."),
});

const nodeCondition = message("NodeCondition", "One observation about a node.", {
  type: required(1, named("v1.NodeConditionType"), "Type of the condition."),
  status: required(2, named("v1.ConditionStatus"), "True, False or Unknown."),
  lastHeartbeatTime: always(3, TIME, "When the condition was last reported."),
  lastTransitionTime: always(4, TIME, "When the status last changed."),
  reason: omitempty(5, STRING, "Short machine-readable cause."),
  message: omitempty(6, STRING, "The cause in words."),
});

const nodeAddress = message("NodeAddress", "One address of a node.", {
  type: required(1, named("v1.NodeAddressType"), "Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS."),
  address: required(2, STRING, "The address."),
});

const daemonEndpoint = message("DaemonEndpoint", "A port of a daemon.", {
  Port: required(1, INT32, "The port number."),
});

const nodeDaemonEndpoints = message("NodeDaemonEndpoints", "Ports of a node's daemons.", {
  kubeletEndpoint: always(1, daemonEndpoint, "The port on which the kubelet listens."),
});

const nodeConfigStatus = message("NodeConfigStatus", "State of the former dynamic configuration.", {
  assigned: optional(1, nodeConfigSource, "Configuration that was assigned to the node."),
  active: optional(2, nodeConfigSource, "Configuration the node uses."),
  lastKnownGood: optional(3, nodeConfigSource, "Configuration the node falls back to."),
  error: omitempty(4, STRING, "What went wrong with the assigned configuration."),
});

const nodeStatus = message("NodeStatus", "What a node last reported.", {
  capacity: omitempty(1, named("v1.ResourceList", map(QUANTITY)), "Resources the machine has."),
  allocatable: omitempty(2, named("v1.ResourceList", map(QUANTITY)), "Resources that pods may use."),
  phase: omitempty(3, enumerated(["Pending", "Running", "Terminated"], named("v1.NodePhase")), "Former phase."),
  conditions: omitempty(4, mergedBy("type", nodeCondition), "Latest observations, such as Ready."),
  addresses: omitempty(5, mergedBy("type", nodeAddress), "Addresses under which the node is reached."),
  daemonEndpoints: always(6, nodeDaemonEndpoints, "Ports of the node's daemons."),
  nodeInfo: always(7, nodeSystemInfo, "Identity and software versions of the machine."),
  images: omitempty(8, atomic(containerImage), "Container images present on the node."),
  volumesInUse: omitempty(9, named("[]v1.UniqueVolumeName", atomic(STRING)), "Attachable volumes in use."),
  volumesAttached: omitempty(10, atomic(attachedVolume), "Volumes attached to the node."),
  config: optional(11, nodeConfigStatus, "State of the former dynamic configuration."),
  runtimeHandlers: omitempty(12, atomic(nodeRuntimeHandler), "Handlers of the container runtime."),
  features: optional(13, nodeFeatures, "What the container runtime can do."),
  declaredFeatures: omitempty(14, atomic(STRING), "Features the kubelet declares."),
});

export const nodeKind: Kind = kind("Node", clusterWide("no"), "A machine of the cluster.", {
  spec: always(2, nodeSpec, "How the node is to be used."),
  status: always(3, nodeStatus, "What the node last reported."),
});

const storage = describeVersion("storage.k8s.io", "v1", "io.k8s.api.storage.v1");

const volumeNodeResources = storage.message("VolumeNodeResources", "How many volumes a node takes.", {
  count: optional(1, INT32, "Greatest number of volumes; no limit when absent."),
});

const csiNodeDriver = storage.message("CSINodeDriver", "One CSI driver on a node.", {
  name: required(1, STRING, "Name of the driver."),
  nodeID: required(2, STRING, "Name of the node as the driver knows it."),
  topologyKeys: always(3, atomic(STRING), "Node labels that describe where volumes are reachable."),
  allocatable: optional(4, volumeNodeResources, "Resources of the node for this driver's volumes."),
});

const csiNodeSpec = storage.message("CSINodeSpec", "The CSI drivers of a node.", {
  drivers: required(1, mergedBy("name", csiNodeDriver), "One entry for each driver."),
});

const storageHealthCondition = storage.message("StorageHealthCondition", "One observation about a storage backend.", {
  status: required(
    1,
    enumerated(["StorageDegraded", "StorageUnreachable"], named("v1.StorageHealthStatusType")),
    "Health that was observed.",
  ),
  reason: required(2, STRING, "Short machine-readable cause."),
  message: omitempty(3, STRING, "The cause in words."),
  accessMode: optional(
    4,
    enumerated(
      ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"],
      named("v1.PersistentVolumeAccessMode"),
    ),
    "Access mode to which it applies.",
  ),
  volumeMode: optional(
    5,
    enumerated(["Block", "Filesystem"], named("v1.PersistentVolumeMode")),
    "Volume mode to which it applies.",
  ),
  lastTransitionTime: always(6, TIME, "When the status last changed."),
});

const storageHealth = storage.message("StorageHealth", "Health of one storage backend.", {
  name: required(1, STRING, "Name of the backend."),
  healthConditions: omitempty(2, atomic(storageHealthCondition), "Latest observations."),
});

const csiNodeStatus = storage.message("CSINodeStatus", "Health of a node's storage.", {
  storageHealth: omitempty(1, mergedBy("name", storageHealth), "One entry for each storage backend."),
});

export const csiNodeKind: Kind = storage.kind(
  "CSINode",
  clusterWide(),
  "The CSI drivers of a node; named like the node.",
  {
    spec: required(2, csiNodeSpec, "The drivers."),
    status: always(3, csiNodeStatus, "Health of the node's storage."),
  },
);

const coordination = describeVersion("coordination.k8s.io", "v1", "io.k8s.api.coordination.v1");

/** The holder of a lease and its times, which are MicroTime text. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
  readonly strategy?: string;
  readonly preferredHolder?: string;
}

const leaseSpec = coordination.message<LeaseSpec>("LeaseSpec", "Holder and times of a lease.", {
  holderIdentity: optional(1, STRING, "Holder of the lease."),
  leaseDurationSeconds: optional(2, INT32, "Seconds after the last renewal until others may take it."),
  acquireTime: optional(3, MICRO_TIME, "When the holder got it."),
  renewTime: optional(4, MICRO_TIME, "When the holder last renewed it."),
  leaseTransitions: optional(5, INT32, "How often it changed hands."),
  strategy: optional(6, named("v1.CoordinatedLeaseStrategy"), "How the holder is chosen in coordinated election."),
  preferredHolder: optional(7, STRING, "Candidate that should take over the lease."),
});

/** A record of which candidate leads, and until when. */
export interface Lease extends KubeObject {
  readonly spec: LeaseSpec;
}

/** Describes the kind `Lease` of `coordination.k8s.io/v1` for all codecs. */
export const leaseKind: Kind = coordination.kind<Lease>(
  "Lease",
  namespaced(),
  "Records which candidate leads, and until when.",
  {
    spec: always(2, leaseSpec, "Holder and times."),
  },
);
