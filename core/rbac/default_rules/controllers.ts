/**
 * What the controllers of the kube-controller-manager may do (`bootstrappolicy/controller_policy.go`): each has the
 * ClusterRole `system:controller:<name>`, and a service account of that name in kube-system is bound to it.
 */
import type { PolicyRule } from "../../kube/rbac_v1.ts";
import { INFRASTRUCTURE_CONTROLLER_RULES } from "./infrastructure_controllers.ts";
import { allow, approve, EVENTS_RULE } from "./rule.ts";
import { WORKLOAD_CONTROLLER_RULES } from "./workload_controllers.ts";

/** Rules by the name of the service account. */
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
