/**
 * The permissions of kube-controller-manager's controllers (`bootstrappolicy/controller_policy.go`): each has the
 * ClusterRole `system:controller:<name>`, bound to the service account `<name>` in kube-system.
 */
import type { PolicyRule } from "../../kube/kinds/rbac_v1.ts";
import { allow, approve, EVENTS_RULE } from "../manifest.ts";

const INFRASTRUCTURE_CONTROLLER_RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
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

const WORKLOAD_CONTROLLER_RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
  "cronjob-controller": [
    allow("get list update watch", "batch", "cronjobs"),
    allow("create delete get list patch update watch", "batch", "jobs"),
    allow("update", "batch", "cronjobs/status"),
    allow("update", "batch", "cronjobs/finalizers"),
    allow("delete list watch", "core", "pods"),
    EVENTS_RULE,
  ],
  "daemon-set-controller": [
    allow("get list watch", "apps extensions", "daemonsets"),
    allow("update", "apps extensions", "daemonsets/status"),
    allow("update", "apps extensions", "daemonsets/finalizers"),
    allow("list watch", "core", "nodes"),
    allow("create delete list patch watch", "core", "pods"),
    allow("create", "core", "pods/binding"),
    allow("create delete get list patch update watch", "apps", "controllerrevisions"),
    EVENTS_RULE,
  ],
  "deployment-controller": [
    allow("get list update watch", "apps extensions", "deployments"),
    allow("update", "apps extensions", "deployments/status"),
    allow("update", "apps extensions", "deployments/finalizers"),
    allow("create delete get list patch update watch", "apps extensions", "replicasets"),
    allow("get list update watch", "core", "pods"),
    EVENTS_RULE,
  ],
  "device-taint-eviction-controller": [
    allow("delete get list watch", "core", "pods"),
    allow("patch update", "core", "pods/status"),
    allow("get list watch", "resource.k8s.io", "resourceclaims"),
    allow("get list watch", "resource.k8s.io", "resourceslices"),
    allow("get list watch", "resource.k8s.io", "deviceclasses"),
    EVENTS_RULE,
    allow("patch update", "resource.k8s.io", "devicetaintrules/status"),
    allow("get list watch", "resource.k8s.io", "devicetaintrules"),
  ],
  "disruption-controller": [
    allow("get list watch", "apps extensions", "deployments"),
    allow("get list watch", "apps extensions", "replicasets"),
    allow("get list watch", "core", "replicationcontrollers"),
    allow("get list watch", "policy", "poddisruptionbudgets"),
    allow("get list watch", "apps", "statefulsets"),
    allow("update", "policy", "poddisruptionbudgets/status"),
    allow("patch update", "core", "pods/status"),
    allow("get", "*", "*/scale"),
    EVENTS_RULE,
  ],
  "horizontal-pod-autoscaler": [
    allow("get list watch", "autoscaling", "horizontalpodautoscalers"),
    allow("update", "autoscaling", "horizontalpodautoscalers/status"),
    allow("get update", "*", "*/scale"),
    allow("list watch", "core", "pods"),
    allow("list watch", "metrics.k8s.io", "pods"),
    allow("get list watch", "custom.metrics.k8s.io", "*"),
    allow("get list watch", "external.metrics.k8s.io", "*"),
    EVENTS_RULE,
  ],
  "job-controller": [
    allow("get list patch update watch", "batch", "jobs"),
    allow("update", "batch", "jobs/status"),
    allow("update", "batch", "jobs/finalizers"),
    allow("create delete list patch watch", "core", "pods"),
    EVENTS_RULE,
  ],
  "pod-garbage-collector": [
    allow("delete list watch", "core", "pods"),
    allow("get list watch", "core", "nodes"),
    allow("patch", "core", "pods/status"),
  ],
  "replicaset-controller": [
    allow("get list update watch", "apps extensions", "replicasets"),
    allow("update", "apps extensions", "replicasets/status"),
    allow("update", "apps extensions", "replicasets/finalizers"),
    allow("create delete list patch watch", "core", "pods"),
    EVENTS_RULE,
  ],
  "replication-controller": [
    allow("get list update watch", "core", "replicationcontrollers"),
    allow("update", "core", "replicationcontrollers/status"),
    allow("update", "core", "replicationcontrollers/finalizers"),
    allow("create delete list patch watch", "core", "pods"),
    EVENTS_RULE,
  ],
  "statefulset-controller": [
    allow("list watch", "core", "pods"),
    allow("get list watch", "apps", "statefulsets"),
    allow("update", "apps", "statefulsets/status"),
    allow("update", "apps", "statefulsets/finalizers"),
    allow("create delete get patch update", "core", "pods"),
    allow("create delete get list patch update watch", "apps", "controllerrevisions"),
    allow("create get list watch", "core", "persistentvolumeclaims"),
    allow("delete update", "core", "persistentvolumeclaims"),
    allow("update", "core", "pods/finalizers"),
    EVENTS_RULE,
  ],
  "ttl-after-finished-controller": [
    allow("delete get list watch", "batch", "jobs"),
    EVENTS_RULE,
  ],
};

export const CONTROLLER_RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
  ...INFRASTRUCTURE_CONTROLLER_RULES,
  ...WORKLOAD_CONTROLLER_RULES,
  "certificate-controller": [
    allow("delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    allow("update", "certificates.k8s.io", "certificatesigningrequests/approval certificatesigningrequests/status"),
    approve("kubernetes.io/kube-apiserver-client-kubelet"),
    allow(
      "sign",
      "certificates.k8s.io",
      "signers",
      "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet " +
        "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
    ),
    allow("create", "authorization.k8s.io", "subjectaccessreviews"),
    EVENTS_RULE,
  ],
  "clusterrole-aggregation-controller": [
    allow("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles"),
  ],
  "generic-garbage-collector": [
    allow("delete get list patch update watch", "*", "*"),
    EVENTS_RULE,
  ],
  "kube-apiserver-serving-clustertrustbundle-publisher": [
    allow("attest", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-serving"),
    allow("create delete list update watch", "certificates.k8s.io", "clustertrustbundles"),
    EVENTS_RULE,
  ],
  "legacy-service-account-token-cleaner": [
    allow("get", "core", "configmaps", "kube-apiserver-legacy-service-account-token-tracking"),
    allow("delete patch", "core", "secrets"),
  ],
  "namespace-controller": [
    allow("delete get list watch", "core", "namespaces"),
    allow("update", "core", "namespaces/finalize namespaces/status"),
    allow("delete deletecollection get list watch", "*", "*"),
  ],
  "node-controller": [
    allow("delete get list patch update watch", "core", "nodes"),
    allow("patch update", "core", "nodes/status"),
    allow("patch update", "core", "pods/status"),
    allow("delete get list watch", "core", "pods"),
    allow("get list watch", "coordination.k8s.io", "leases"),
    EVENTS_RULE,
  ],
  "podcertificaterequestcleaner": [
    allow("delete get list watch", "certificates.k8s.io", "podcertificaterequests"),
  ],
  "resourcequota-controller": [
    allow("list watch", "*", "*"),
    allow("update", "core", "resourcequotas/status"),
    EVENTS_RULE,
  ],
  "root-ca-cert-publisher": [
    allow("create update", "core", "configmaps"),
    EVENTS_RULE,
  ],
  "service-account-controller": [
    allow("create", "core", "serviceaccounts"),
    EVENTS_RULE,
  ],
  "ttl-controller": [
    allow("list patch update watch", "core", "nodes"),
    EVENTS_RULE,
  ],
  "validatingadmissionpolicy-status-controller": [
    allow("get list watch", "admissionregistration.k8s.io", "validatingadmissionpolicies"),
    allow("get patch update", "admissionregistration.k8s.io", "validatingadmissionpolicies/status"),
    EVENTS_RULE,
  ],
};
