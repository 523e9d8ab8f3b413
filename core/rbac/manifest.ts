/** Rights as a manifest: what a controller needs at an API server, each object with what it is for. */
import type { KubeObject } from "../kube/meta.ts";
import type { PolicyRule, RoleBinding, Subject } from "../kube/rbac_v1.ts";
import { formatApiVersion, type Kind } from "../kube/schema.ts";

/** One object and what it is for; an empty comment says nothing. */
export interface ManifestPart<T extends KubeObject = KubeObject> {
  readonly comment: string;
  readonly object: T;
}

/** A part whose object says what it is. */
export function manifestPart(kind: Kind, { comment, object }: ManifestPart): ManifestPart {
  return { comment, object: { apiVersion: formatApiVersion(kind), kind: kind.kind, ...object } };
}

/** Subject and role of a binding. */
export function boundTo(
  kind: "ClusterRole" | "Role",
  name: string,
  subject: Subject,
): Pick<RoleBinding, "subjects" | "roleRef"> {
  return { subjects: [subject], roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name } };
}

/** The rights to stand for an election by a Lease. */
export function leaseRules(name: string): readonly PolicyRule[] {
  const leases = { apiGroups: ["coordination.k8s.io"], resources: ["leases"] };
  // What is created has no name yet that a rule could ask for.
  return [{ verbs: ["create"], ...leases }, { verbs: ["get", "update"], ...leases, resourceNames: [name] }];
}

/** What they are for. */
export const LEASE_COMMENT = "For leader election; not needed with --leader-elect=false.";
