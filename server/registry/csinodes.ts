/** The resource `storage.k8s.io/v1` csinodes: a kubelet that cannot write its own exits. */
import { csiNodeKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { type CsiNodeShape, validateCsiNodeCreate, validateCsiNodeUpdate } from "../../core/kube/rules/csinodes.ts";
import { ageColumn, nameColumn } from "./columns.ts";
import { createPlainStrategy, type Resource, STANDARD_VERBS } from "./resource.ts";

/** A CSINode with its status, which clients do not write. */
interface CsiNode extends CsiNodeShape {
  readonly status: object;
}

/** The registered storage drivers of each node. */
export const csiNodes: Resource<CsiNode> = {
  kind: csiNodeKind,
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    {
      name: "Drivers",
      type: "integer",
      format: "",
      priority: 0,
      description: "How many storage drivers are registered on the node.",
      cell: (node) => node.spec.drivers?.length ?? 0,
    },
    ageColumn,
  ],
  selectableFields: [],
  strategy: createPlainStrategy<CsiNode>({
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    validateCreate: validateCsiNodeCreate,
    validateUpdate: validateCsiNodeUpdate,
    // The feature that fills the status is off by default (`pkg/registry/storage/csinode/strategy.go`, CSIVolumeHealth).
    prepareForCreate: (node) => ({ ...node, status: {} }),
    prepareForUpdate: (node, stored) => ({ ...node, status: stored.status }),
    unconditionalUpdate: false,
    resetFields: ["status"],
  }),
  subresources: [],
  deletion: { returnsObject: true },
};
