/** `coordination.k8s.io/v1` leases: leader election and node heartbeats. */
import type { Lease } from "../../core/kube/kinds/coordination_v1.ts";
import { leaseKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { prepareLeaseForCreate, prepareLeaseForUpdate, validateLease } from "../../core/kube/rules/nodes.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";

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
