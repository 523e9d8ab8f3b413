/** The resource `storage.k8s.io/v1` csinodes: a kubelet that cannot write its own exits. */
import { csiNodeKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { type CsiNodeShape, validateCsiNodeCreate, validateCsiNodeUpdate } from "../../core/kube/rules/nodes.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";

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
