/** The rules of users, nodes and components other than controllers (`bootstrappolicy/policy.go`). */
import type { PolicyRule } from "../../kube/kinds/rbac_v1.ts";
import { allow, allowPaths, approve, EVENTS_RULE } from "../manifest.ts";

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

export const COMPONENT_RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
  "cluster-admin": [
    allow("*", "*", "*"),
    allowPaths("*", "*"),
  ],
  "system:auth-delegator": [
    allow("create", "authentication.k8s.io", "tokenreviews"),
    allow("create", "authorization.k8s.io", "subjectaccessreviews"),
  ],
  "system:basic-user": [
    allow("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    allow("create", "authentication.k8s.io", "selfsubjectreviews"),
  ],
  "system:certificates.k8s.io:certificatesigningrequests:nodeclient": [
    allow("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"),
  ],
  "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": [
    allow("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient"),
  ],
  "system:certificates.k8s.io:kube-apiserver-client-approver": [
    approve("kubernetes.io/kube-apiserver-client"),
  ],
  "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": [
    approve("kubernetes.io/kube-apiserver-client-kubelet"),
  ],
  "system:certificates.k8s.io:kubelet-serving-approver": [
    approve("kubernetes.io/kubelet-serving"),
  ],
  "system:certificates.k8s.io:legacy-unknown-approver": [
    approve("kubernetes.io/legacy-unknown"),
  ],
  "system:cluster-trust-bundle-discovery": [
    allow("get list watch", "certificates.k8s.io", "clustertrustbundles"),
  ],
  "system:discovery": [
    allowPaths("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
  ],
  "system:heapster": [
    allow("get list watch", "core", "events namespaces nodes pods"),
    allow("get list watch", "extensions", "deployments"),
  ],
  "system:kube-aggregator": [
    allow("get list watch", "core", "endpoints services"),
  ],
  "system:kube-controller-manager": [
    EVENTS_RULE,
    allow("create", "coordination.k8s.io", "leases"),
    allow("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
    allow("create", "core", "secrets serviceaccounts"),
    allow("delete", "core", "secrets"),
    allow("get", "core", "configmaps namespaces secrets serviceaccounts"),
    allow("update", "core", "secrets serviceaccounts"),
    allow("create", "authentication.k8s.io", "tokenreviews"),
    allow("create", "authorization.k8s.io", "subjectaccessreviews"),
    allow("list watch", "*", "*"),
    allow("create", "core", "serviceaccounts/token"),
  ],
  "system:kube-dns": [
    allow("list watch", "core", "endpoints services"),
  ],
  "system:kube-scheduler": [
    EVENTS_RULE,
    allow("create", "coordination.k8s.io", "leases"),
    allow("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
    allow("create delete deletecollection get list patch update watch", "coordination.k8s.io", "leasecandidates"),
    allow("get list watch", "core", "nodes"),
    allow("delete get list watch", "core", "pods"),
    allow("create", "core", "bindings pods/binding"),
    allow("patch update", "core", "pods/status"),
    allow("get list watch", "core", "replicationcontrollers services"),
    allow("get list watch", "apps extensions", "replicasets"),
    allow("get list watch", "apps", "statefulsets"),
    allow("get list watch", "policy", "poddisruptionbudgets"),
    allow("get list watch", "core", "persistentvolumeclaims persistentvolumes"),
    allow("create", "authentication.k8s.io", "tokenreviews"),
    allow("create", "authorization.k8s.io", "subjectaccessreviews"),
    allow("get list watch", "storage.k8s.io", "csinodes"),
    allow("get list watch", "storage.k8s.io", "volumeattachments"),
    allow("get list watch", "core", "namespaces"),
    allow("get list watch", "storage.k8s.io", "csidrivers"),
    allow("get list watch", "storage.k8s.io", "csistoragecapacities"),
    allow("get list watch", "resource.k8s.io", "deviceclasses"),
    allow("get list patch update watch", "resource.k8s.io", "resourceclaims"),
    allow("get list patch update watch", "resource.k8s.io", "resourceclaims/status"),
    allow("update", "core", "pods/finalizers"),
    allow("get list watch", "resource.k8s.io", "resourceslices"),
    allow("create delete", "resource.k8s.io", "resourceclaims"),
    allow("get list watch", "resource.k8s.io", "devicetaintrules"),
    allow("patch update", "resource.k8s.io", "resourceclaims/binding"),
  ],
  "system:kubelet-api-admin": [
    allow("get list watch", "core", "nodes"),
    allow("proxy", "core", "nodes"),
    allow("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
    allow("*", "core", "nodes/configz nodes/healthz nodes/pods"),
  ],
  "system:monitoring": [
    allowPaths("get", "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz"),
    allow("get", "core", "nodes/metrics"),
  ],
  "system:node": NODE_RULES,
  "system:node-bootstrapper": [
    allow("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
  ],
  "system:node-problem-detector": [
    allow("get", "core", "nodes"),
    allow("patch", "core", "nodes/status"),
    EVENTS_RULE,
  ],
  "system:node-proxier": [
    allow("list watch", "core", "endpoints services"),
    allow("get list watch", "core", "nodes"),
    EVENTS_RULE,
    allow("list watch", "networking.k8s.io", "servicecidrs"),
    allow("list watch", "discovery.k8s.io", "endpointslices"),
  ],
  "system:persistent-volume-provisioner": [
    allow("create delete get list watch", "core", "persistentvolumes"),
    allow("get list update watch", "core", "persistentvolumeclaims"),
    allow("get list watch", "storage.k8s.io", "storageclasses"),
    allow("watch", "core", "events"),
    EVENTS_RULE,
  ],
  "system:public-info-viewer": [
    allowPaths("get", "/healthz /livez /readyz /version /version/"),
  ],
  "system:service-account-issuer-discovery": [
    allowPaths(
      "get",
      "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
    ),
  ],
  "system:volume-scheduler": [
    allow("get list patch update watch", "core", "persistentvolumes"),
    allow("get list watch", "storage.k8s.io", "storageclasses"),
    allow("get list patch update watch", "core", "persistentvolumeclaims"),
  ],
};
