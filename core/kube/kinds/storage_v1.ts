/** CSINode of `storage.k8s.io/v1` (staging `k8s.io/api/storage/v1/types.go`). */
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion } from "./kind.ts";
import {
  always,
  atomic,
  enumerated,
  INT32,
  mergedBy,
  named,
  omitempty,
  optional,
  required,
  STRING,
  TIME,
} from "./notation.ts";

const { kind, message } = describeVersion("storage.k8s.io", "v1", "io.k8s.api.storage.v1");

const volumeNodeResources = message("VolumeNodeResources", "How many volumes a node takes.", {
  count: optional(1, INT32, "Greatest number of volumes; no limit when absent."),
});

const csiNodeDriver = message("CSINodeDriver", "One CSI driver on a node.", {
  name: required(1, STRING, "Name of the driver."),
  nodeID: required(2, STRING, "Name of the node as the driver knows it."),
  topologyKeys: always(3, atomic(STRING), "Node labels that describe where volumes are reachable."),
  allocatable: optional(4, volumeNodeResources, "Resources of the node for this driver's volumes."),
});

const csiNodeSpec = message("CSINodeSpec", "The CSI drivers of a node.", {
  drivers: required(1, mergedBy("name", csiNodeDriver), "One entry for each driver."),
});

const storageHealthCondition = message("StorageHealthCondition", "One observation about a storage backend.", {
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
    "Access mode concerned.",
  ),
  volumeMode: optional(5, enumerated(["Block", "Filesystem"], named("v1.PersistentVolumeMode")), "Volume mode."),
  lastTransitionTime: always(6, TIME, "When the status last changed."),
});

const storageHealth = message("StorageHealth", "Health of one storage backend.", {
  name: required(1, STRING, "Name of the backend."),
  healthConditions: omitempty(2, atomic(storageHealthCondition), "Latest observations."),
});

const csiNodeStatus = message("CSINodeStatus", "Health of a node's storage.", {
  storageHealth: omitempty(1, mergedBy("name", storageHealth), "One entry for each storage backend."),
});

export const csiNodeKind: Kind = kind("CSINode", clusterWide(), "The CSI drivers of a node; named like the node.", {
  spec: required(2, csiNodeSpec, "The drivers."),
  status: always(3, csiNodeStatus, "Health of the node's storage."),
});
