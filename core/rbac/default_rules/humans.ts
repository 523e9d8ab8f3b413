/** The rules of `view`, `edit` and `admin` (`bootstrappolicy/policy.go` viewRules, editRules). */
import type { PolicyRule } from "../../kube/kinds/rbac_v1.ts";
import { allow } from "../allow.ts";

const READ = "get list watch";
const WRITE = "create delete deletecollection patch update";
const READ_WRITE = "create delete deletecollection get list patch update watch";

/** Read access that does not allow privilege escalation. */
export const VIEW_RULES: readonly PolicyRule[] = [
  allow(
    READ,
    "core",
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers " +
      "replicationcontrollers/scale serviceaccounts services services/status",
  ),
  allow(
    READ,
    "core",
    "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas " +
      "resourcequotas/status",
  ),
  allow(READ, "core", "namespaces"),
  allow(READ, "core events.k8s.io", "events"),
  allow(READ, "discovery.k8s.io", "endpointslices"),
  allow(
    READ,
    "apps",
    "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets " +
      "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
  ),
  allow(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
  allow(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
  allow(
    READ,
    "extensions",
    "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status " +
      "networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale",
  ),
  allow(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
  allow(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
  allow(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
];

/** Write access within a namespace, and read access to its secrets. */
export const EDIT_RULES: readonly PolicyRule[] = [
  allow(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
  allow("impersonate", "core", "serviceaccounts"),
  allow(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
  allow("create", "core", "pods/eviction"),
  allow(
    WRITE,
    "core",
    "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts " +
      "services services/proxy",
  ),
  allow("create", "core", "serviceaccounts/token"),
  allow(WRITE, "core events.k8s.io", "events"),
  allow(
    WRITE,
    "apps",
    "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets " +
      "statefulsets/scale",
  ),
  allow(WRITE, "autoscaling", "horizontalpodautoscalers"),
  allow(WRITE, "batch", "cronjobs jobs"),
  allow(
    WRITE,
    "extensions",
    "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets " +
      "replicasets/scale replicationcontrollers/scale",
  ),
  allow(WRITE, "policy", "poddisruptionbudgets"),
  allow(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
  allow(READ_WRITE, "coordination.k8s.io", "leases"),
  allow(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
];

/** The permission to grant roles within a namespace. */
export const ADMIN_RULES: readonly PolicyRule[] = [
  allow("create", "authorization.k8s.io", "localsubjectaccessreviews"),
  allow(READ_WRITE, "rbac.authorization.k8s.io", "rolebindings roles"),
];
