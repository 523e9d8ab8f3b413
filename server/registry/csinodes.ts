/** `storage.k8s.io/v1` csinodes: a kubelet that cannot write its own ends itself. */
import type { KubeObject } from "../../core/kube/meta.ts";
import { csiNodeKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { validateCsiNodeCreate, validateCsiNodeUpdate } from "../../core/kube/validation/csinodes.ts";
import { ageColumn, nameColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";
import { plainStrategy } from "./strategies.ts";

/** The part of a CSINode that the table shows. */
interface CsiNode extends KubeObject {
  readonly spec: { readonly drivers: readonly unknown[] | null };
}

/** Storage drivers of a node. */
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
  strategy: plainStrategy<CsiNode>({
    validateName: subdomainNameErrors,
    validateCreate: validateCsiNodeCreate,
    validateUpdate: validateCsiNodeUpdate,
    unconditionalUpdate: false,
    resetFields: ["status"],
  }),
  subresources: [],
  deletion: { answersObject: true },
};
