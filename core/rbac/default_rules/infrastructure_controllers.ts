/** What the controllers of networks, storage and devices may do (`bootstrappolicy/controller_policy.go`). */
import type { PolicyRule } from "../../kube/rbac_v1.ts";
import { allow, EVENTS_RULE } from "./rule.ts";

/** Rules by the name of the service account. */
export const INFRASTRUCTURE_CONTROLLER_RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
  "attachdetach-controller": [
    allow("list watch", "core", "persistentvolumeclaims persistentvolumes"),
    allow("get list watch", "core", "nodes"),
    allow("patch update", "core", "nodes/status"),
    allow("list watch", "core", "pods"),
    EVENTS_RULE,
    allow("create delete get list watch", "storage.k8s.io", "volumeattachments"),
    allow("get list watch", "storage.k8s.io", "csidrivers"),
    allow("get list watch", "storage.k8s.io", "csinodes"),
  ],
  "endpoint-controller": [
    allow("get list watch", "core", "pods services"),
    allow("create delete get list update watch", "core", "endpoints"),
    allow("create", "core", "endpoints/restricted"),
    EVENTS_RULE,
  ],
  "endpointslice-controller": [
    allow("get list watch", "core", "nodes pods services"),
    allow("update", "core", "services/finalizers"),
    allow("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
    EVENTS_RULE,
  ],
  "endpointslicemirroring-controller": [
    allow("get list watch", "core", "endpoints services"),
    allow("update", "core", "services/finalizers"),
    allow("update", "core", "endpoints/finalizers"),
    allow("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
    EVENTS_RULE,
  ],
  "ephemeral-volume-controller": [
    allow("get list watch", "core", "pods"),
    allow("update", "core", "pods/finalizers"),
    allow("create get list watch", "core", "persistentvolumeclaims"),
    EVENTS_RULE,
  ],
  "expand-controller": [
    allow("get list patch update watch", "core", "persistentvolumes"),
    allow("patch update", "core", "persistentvolumeclaims/status"),
    allow("get list watch", "core", "persistentvolumeclaims"),
    EVENTS_RULE,
  ],
  "persistent-volume-binder": [
    allow("create delete get list update watch", "core", "persistentvolumes"),
    allow("update", "core", "persistentvolumes/status"),
    allow("get list update watch", "core", "persistentvolumeclaims"),
    allow("update", "core", "persistentvolumeclaims/status"),
    allow("create delete get list watch", "core", "pods"),
    allow("get list watch", "storage.k8s.io", "storageclasses"),
    allow("list watch", "core", "nodes"),
    EVENTS_RULE,
    allow("watch", "core", "events"),
  ],
  "pv-protection-controller": [
    allow("get list update watch", "core", "persistentvolumes"),
    EVENTS_RULE,
  ],
  "pvc-protection-controller": [
    allow("get list update watch", "core", "persistentvolumeclaims"),
    allow("update", "core", "persistentvolumeclaims/status"),
    allow("get list watch", "core", "pods"),
    EVENTS_RULE,
  ],
  "resource-claim-controller": [
    allow("get list watch", "core", "pods"),
    allow("update", "core", "pods/finalizers"),
    allow("create delete get list watch", "resource.k8s.io", "resourceclaims"),
    allow("patch update", "resource.k8s.io", "resourceclaims resourceclaims/status"),
    allow("patch update", "core", "pods/status"),
    EVENTS_RULE,
    allow("patch update", "resource.k8s.io", "resourceclaims/binding"),
  ],
  "route-controller": [
    allow("list watch", "core", "nodes"),
    allow("patch", "core", "nodes/status"),
    EVENTS_RULE,
  ],
  "selinux-warning-controller": [
    EVENTS_RULE,
    allow("get list watch", "core", "persistentvolumes"),
    allow("get list watch", "core", "persistentvolumeclaims"),
    allow("get list watch", "core", "pods"),
    allow("get list watch", "storage.k8s.io", "csidrivers"),
  ],
  "service-cidrs-controller": [
    allow("get list patch update watch", "networking.k8s.io", "servicecidrs"),
    allow("patch update", "networking.k8s.io", "servicecidrs/finalizers"),
    allow("patch update", "networking.k8s.io", "servicecidrs/status"),
    allow("get list watch", "networking.k8s.io", "ipaddresses"),
    EVENTS_RULE,
  ],
  "service-controller": [
    allow("get list watch", "core", "services"),
    allow("patch update", "core", "services/status"),
    allow("list watch", "core", "nodes"),
    EVENTS_RULE,
  ],
  "storage-version-migrator-controller": [
    allow("list patch", "*", "*"),
    allow("get", "apiextensions.k8s.io", "customresourcedefinitions"),
    allow("patch", "apiextensions.k8s.io", "customresourcedefinitions/status"),
    allow("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
  ],
  "volumeattributesclass-protection-controller": [
    allow("get list watch", "core", "persistentvolumeclaims"),
    allow("get list watch", "core", "persistentvolumes"),
    allow("get list update watch", "storage.k8s.io", "volumeattributesclasses"),
    EVENTS_RULE,
  ],
};
