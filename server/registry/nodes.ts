/**
 * The resources that kubelets write: core `v1` nodes with `/status`, `storage.k8s.io/v1` csinodes and
 * `coordination.k8s.io/v1` leases.
 */
import { csiNodeKind, leaseKind, nodeKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import {
  type CsiNodeShape,
  defaultNode,
  getWarningsForNode,
  type NodeShape,
  prepareLeaseForCreate,
  prepareLeaseForUpdate,
  validateCsiNodeCreate,
  validateCsiNodeUpdate,
  validateLease,
  validateNodeCreate,
  validateNodeStatusUpdate,
  validateNodeUpdate,
  withoutConfigStatus,
  withoutDisabledSpec,
} from "../../core/kube/rules/nodes.ts";
import { ageColumn, nameColumn, type Resource, STANDARD_VERBS, SUBRESOURCE_VERBS, textColumn } from "./resource.ts";
import type { Lease } from "../../core/kube/kinds/nodes.ts";

/** The fields of a Node that the table shows. */
interface Node extends NodeShape {
  readonly spec: NodeShape["spec"] & { readonly unschedulable?: boolean };
  readonly status: NodeShape["status"] & {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly nodeInfo?: NodeShape["status"]["nodeInfo"] & {
      readonly kubeletVersion?: string;
      readonly osImage?: string;
      readonly kernelVersion?: string;
      readonly architecture?: string;
      readonly containerRuntimeVersion?: string;
    };
  };
}

const ROLE_LABEL_PREFIX = "node-role.kubernetes.io/";
const ROLE_LABEL = "kubernetes.io/role";

/** Nodes, the machines that have joined. */
export const nodes: Resource<Node> = {
  kind: nodeKind,
  verbs: STANDARD_VERBS,
  // Upstream stores nodes under this name, and a kube-apiserver may share the store.
  storageName: "minions",
  columns: [
    nameColumn,
    textColumn("Status", "Ready or not.", formatStatus),
    textColumn("Roles", "Roles by label.", formatRoles),
    ageColumn,
    textColumn("Version", "The kubelet's version.", (node) => node.status.nodeInfo?.kubeletVersion ?? ""),
    textColumn("Internal-IP", "Address inside the cluster.", (node) => formatAddress(node, "InternalIP"), 1),
    textColumn("External-IP", "Address outside the cluster.", (node) => formatAddress(node, "ExternalIP"), 1),
    textColumn("OS-Image", "The operating system.", (node) => formatInfo(node.status.nodeInfo?.osImage), 1),
    textColumn("Kernel-Version", "The kernel, and for which machines it is.", formatKernel, 1),
    textColumn(
      "Container-Runtime",
      "The container runtime.",
      (node) => formatInfo(node.status.nodeInfo?.containerRuntimeVersion),
      1,
    ),
  ],
  selectableFields: ["spec.unschedulable"],
  selectField: (node) => String(node.spec.unschedulable ?? false),
  strategy: {
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    applyDefaults: defaultNode,
    prepareForCreate: (node) => withoutConfigStatus(withoutDisabledSpec(node)),
    prepareForUpdate: (node, stored) => withoutDisabledSpec({ ...node, status: stored.status }),
    warn: getWarningsForNode,
    validateCreate: validateNodeCreate,
    validateUpdate: validateNodeUpdate,
    resetFields: ["status"],
  },
  subresources: [{
    name: "status",
    verbs: SUBRESOURCE_VERBS,
    table: true,
    prepareForUpdate: (node, stored) => withoutConfigStatus({ ...node, spec: stored.spec }),
    validateUpdate: validateNodeStatusUpdate,
    resetFields: ["spec"],
  }],
};

function formatStatus(node: Node): string {
  const ready = node.status.conditions?.find((condition) => condition.type === "Ready");
  const base = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec.unschedulable === true ? `${base},SchedulingDisabled` : base;
}

function formatRoles(node: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(ROLE_LABEL_PREFIX) && key.length > ROLE_LABEL_PREFIX.length) {
      roles.add(key.slice(ROLE_LABEL_PREFIX.length));
    } else if (key === ROLE_LABEL && value !== "") {
      roles.add(value);
    }
  }
  return roles.size === 0 ? "<none>" : [...roles].sort().join(",");
}

function formatAddress(node: Node, type: string): string {
  return node.status.addresses?.find((address) => address.type === type)?.address ?? "<none>";
}

function formatKernel({ status: { nodeInfo } }: Node): string {
  const kernel = formatInfo(nodeInfo?.kernelVersion);
  return nodeInfo?.architecture ? `${kernel} (${nodeInfo.architecture})` : kernel;
}

function formatInfo(value: string | undefined): string {
  return value === undefined || value === "" ? "<unknown>" : value;
}

/** A CSINode with its status, which clients do not write. */
interface CsiNode extends CsiNodeShape {
  readonly status: object;
}

const countDrivers = (node: CsiNode): number => node.spec.drivers?.length ?? 0;

/** The registered storage drivers of each node. */
export const csiNodes: Resource<CsiNode> = {
  kind: csiNodeKind,
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    { ...textColumn("Drivers", "How many storage drivers are registered on the node.", countDrivers), type: "integer" },
    ageColumn,
  ],
  strategy: {
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    validateCreate: validateCsiNodeCreate,
    validateUpdate: validateCsiNodeUpdate,
    // The feature that fills the status is off by default (`pkg/registry/storage/csinode/strategy.go`, CSIVolumeHealth).
    prepareForCreate: (node) => ({ ...node, status: {} }),
    prepareForUpdate: (node, stored) => ({ ...node, status: stored.status }),
    needsResourceVersion: true,
    resetFields: ["status"],
  },
  deletion: { returnsObject: true },
};

/** Leases, whose holders renew them until they expire. */
export const leases: Resource<Lease> = {
  kind: leaseKind,
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    textColumn("Holder", "Who holds the lease.", (lease) => lease.spec.holderIdentity ?? ""),
    ageColumn,
  ],
  strategy: {
    validateName: subdomainNameErrors,
    anyFinalizer: true,
    prepareForCreate: prepareLeaseForCreate,
    prepareForUpdate: prepareLeaseForUpdate,
    validateCreate: validateLease,
    validateUpdate: validateLease,
    createOnUpdate: true,
    needsResourceVersion: true,
  },
};
