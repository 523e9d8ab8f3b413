/** The rules of ClusterRole `system:node`, which the Node authorizer grants to every node (`bootstrappolicy/policy.go`). */
import type { PolicyRule } from "../../kube/rbac_v1.ts";
import { allow, EVENTS_RULE } from "./rule.ts";

/** The rules of nodes, which the Node authorizer restricts further to a node's own objects. */
export const NODE_RULES: readonly PolicyRule[] = [
  allow("create", "authentication.k8s.io", "tokenreviews"),
  allow("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
  allow("get list watch", "core", "services"),
  allow("create get list watch", "core", "nodes"),
  allow("patch update", "core", "nodes/status"),
  allow("patch update", "core", "nodes"),
  EVENTS_RULE,
  allow("get list watch", "core", "pods"),
  allow("create delete", "core", "pods"),
  allow("patch update", "core", "pods/status"),
  allow("create", "core", "pods/eviction"),
  allow("get list watch", "core", "configmaps secrets"),
  allow("get", "core", "persistentvolumeclaims persistentvolumes"),
  allow("get", "core", "endpoints"),
  allow("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
  allow("create delete get patch update", "coordination.k8s.io", "leases"),
  allow("get", "storage.k8s.io", "volumeattachments"),
  allow("create", "core", "serviceaccounts/token"),
  allow("get patch update", "core", "persistentvolumeclaims/status"),
  allow("get list watch", "storage.k8s.io", "csidrivers"),
  allow("create delete get patch update", "storage.k8s.io", "csinodes"),
  allow("get list watch", "node.k8s.io", "runtimeclasses"),
  allow("get", "resource.k8s.io", "resourceclaims"),
  allow("deletecollection", "resource.k8s.io", "resourceslices"),
  allow("get list watch", "certificates.k8s.io", "clustertrustbundles"),
  allow("get", "core", "serviceaccounts"),
  allow("create get list watch", "certificates.k8s.io", "podcertificaterequests"),
];
