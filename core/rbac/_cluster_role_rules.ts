/**
 * The rules of the default ClusterRoles, by role name (`bootstrappolicy/policy.go`, `controller_policy.go`). Roles of
 * components that have no business here (scheduler, kube-proxy, storage, cloud) are left out.
 */
import type { PolicyRule } from "../kube/rbac_v1.ts";
import { allow, allowPaths, EVENTS_RULE } from "./_rule.ts";
import { NODE_RULES } from "./node_rules.ts";

const CERTIFICATES = "certificates.k8s.io";

/** Rules by ClusterRole name. */
export const CLUSTER_ROLE_RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
  "cluster-admin": [allow("*", "*", "*"), allowPaths("*", "*")],
  "system:auth-delegator": [
    allow("create", "authentication.k8s.io", "tokenreviews"),
    allow("create", "authorization.k8s.io", "subjectaccessreviews"),
  ],
  "system:basic-user": [
    allow("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    allow("create", "authentication.k8s.io", "selfsubjectreviews"),
  ],
  "system:certificates.k8s.io:certificatesigningrequests:nodeclient": [
    allow("create", CERTIFICATES, "certificatesigningrequests/nodeclient"),
  ],
  "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": [
    allow("create", CERTIFICATES, "certificatesigningrequests/selfnodeclient"),
  ],
  "system:certificates.k8s.io:kube-apiserver-client-approver": [approve("kubernetes.io/kube-apiserver-client")],
  "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": [
    approve("kubernetes.io/kube-apiserver-client-kubelet"),
  ],
  "system:certificates.k8s.io:kubelet-serving-approver": [approve("kubernetes.io/kubelet-serving")],
  "system:certificates.k8s.io:legacy-unknown-approver": [approve("kubernetes.io/legacy-unknown")],
  "system:cluster-trust-bundle-discovery": [allow("get list watch", CERTIFICATES, "clustertrustbundles")],
  "system:discovery": [
    allowPaths("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
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
  "system:node-bootstrapper": [allow("create get list watch", CERTIFICATES, "certificatesigningrequests")],
  "system:public-info-viewer": [allowPaths("get", "/healthz /livez /readyz /version /version/")],
  "system:controller:certificate-controller": [
    allow("delete get list watch", CERTIFICATES, "certificatesigningrequests"),
    allow("update", CERTIFICATES, "certificatesigningrequests/approval certificatesigningrequests/status"),
    approve("kubernetes.io/kube-apiserver-client-kubelet"),
    allow(
      "sign",
      CERTIFICATES,
      "signers",
      "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet " +
        "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
    ),
    allow("create", "authorization.k8s.io", "subjectaccessreviews"),
    EVENTS_RULE,
  ],
  "system:controller:clusterrole-aggregation-controller": [
    allow("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles"),
  ],
  "system:controller:kube-apiserver-serving-clustertrustbundle-publisher": [
    allow("attest", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-serving"),
    allow("create delete list update watch", CERTIFICATES, "clustertrustbundles"),
    EVENTS_RULE,
  ],
  "system:controller:namespace-controller": [
    allow("delete get list watch", "core", "namespaces"),
    allow("update", "core", "namespaces/finalize namespaces/status"),
    allow("delete deletecollection get list watch", "*", "*"),
  ],
  "system:controller:podcertificaterequestcleaner": [
    allow("delete get list watch", CERTIFICATES, "podcertificaterequests"),
  ],
  "system:controller:root-ca-cert-publisher": [allow("create update", "core", "configmaps"), EVENTS_RULE],
};

function approve(signerName: string): PolicyRule {
  return allow("approve", CERTIFICATES, "signers", signerName);
}
