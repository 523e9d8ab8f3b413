/** Manifests of the permissions that a controller needs at an API server, with a comment for each object. */
import type { KubeObject } from "../kube/meta.ts";
import type { PolicyRule, RoleBinding, Subject } from "../kube/kinds/rbac_v1.ts";
import { formatApiVersion, type Kind } from "../kube/schema.ts";

/** An object of a manifest and its comment, which may be empty. */
export interface ManifestPart<T extends KubeObject = KubeObject> {
  readonly comment: string;
  readonly object: T;
}

/** Creates a part whose object has `apiVersion` and `kind`. */
export function manifestPart(kind: Kind, { comment, object }: ManifestPart): ManifestPart {
  return { comment, object: { apiVersion: formatApiVersion(kind), kind: kind.kind, ...object } };
}

export function boundTo(
  kind: "ClusterRole" | "Role",
  name: string,
  subject: Subject,
): Pick<RoleBinding, "subjects" | "roleRef"> {
  return { subjects: [subject], roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name } };
}

/** Creates the rules for leader election with a Lease. */
export function leaseRules(name: string): readonly PolicyRule[] {
  const leases = { apiGroups: ["coordination.k8s.io"], resources: ["leases"] };
  // RBAC cannot restrict create by name, because the name is not known at authorization.
  return [{ verbs: ["create"], ...leases }, { verbs: ["get", "update"], ...leases, resourceNames: [name] }];
}

export const LEASE_COMMENT = "For leader election; not needed with --leader-elect=false.";
