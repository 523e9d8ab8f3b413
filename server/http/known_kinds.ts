/** The kinds and Go types that the messages of kube-apiserver's decoders name. */
import { goQuote } from "../../core/lib/go_text.ts";
import type { Kind } from "../../core/kube/schema.ts";
/**
 * Every kind of kube-apiserver 1.37, whether it is served here or not: the refusal of a body of such a kind differs
 * from that of an unknown kind. A star means that the kind also has a list kind.
 */
const KNOWN: Readonly<Record<string, string>> = {
  "admission.k8s.io/v1": "AdmissionReview",
  "admission.k8s.io/v1beta1": "AdmissionReview",
  "admissionregistration.k8s.io/v1":
    "MutatingAdmissionPolicy* MutatingAdmissionPolicyBinding* MutatingWebhookConfiguration* " +
    "ValidatingAdmissionPolicy* ValidatingAdmissionPolicyBinding* ValidatingWebhookConfiguration*",
  "admissionregistration.k8s.io/v1alpha1":
    "MutatingAdmissionPolicy* MutatingAdmissionPolicyBinding* ValidatingAdmissionPolicy* " +
    "ValidatingAdmissionPolicyBinding*",
  "admissionregistration.k8s.io/v1beta1":
    "MutatingAdmissionPolicy* MutatingAdmissionPolicyBinding* MutatingWebhookConfiguration* " +
    "ValidatingAdmissionPolicy* ValidatingAdmissionPolicyBinding* ValidatingWebhookConfiguration*",
  "apps/v1": "ControllerRevision* DaemonSet* Deployment* ReplicaSet* StatefulSet*",
  "apps/v1beta1": "ControllerRevision* Deployment* DeploymentRollback Scale StatefulSet*",
  "apps/v1beta2": "ControllerRevision* DaemonSet* Deployment* ReplicaSet* Scale StatefulSet*",
  "authentication.k8s.io/v1": "SelfSubjectReview TokenRequest TokenReview",
  "authentication.k8s.io/v1alpha1": "SelfSubjectReview",
  "authentication.k8s.io/v1beta1": "SelfSubjectReview TokenReview",
  "authorization.k8s.io/v1":
    "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
  "authorization.k8s.io/v1beta1":
    "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
  "autoscaling/v1": "HorizontalPodAutoscaler* Scale",
  "autoscaling/v2": "HorizontalPodAutoscaler*",
  "batch/v1": "CronJob* Job*",
  "batch/v1beta1": "CronJob*",
  "certificates.k8s.io/v1": "CertificateSigningRequest* ClusterTrustBundle* PodCertificateRequest*",
  "certificates.k8s.io/v1alpha1": "ClusterTrustBundle*",
  "certificates.k8s.io/v1beta1": "CertificateSigningRequest* ClusterTrustBundle* PodCertificateRequest*",
  "coordination.k8s.io/v1": "Lease*",
  "coordination.k8s.io/v1alpha2": "LeaseCandidate*",
  "coordination.k8s.io/v1beta1": "Lease* LeaseCandidate*",
  "discovery.k8s.io/v1": "EndpointSlice*",
  "discovery.k8s.io/v1beta1": "EndpointSlice*",
  "events.k8s.io/v1": "Event*",
  "events.k8s.io/v1beta1": "Event*",
  "extensions/v1beta1": "DaemonSet* Deployment* DeploymentRollback Ingress* NetworkPolicy* ReplicaSet* Scale",
  "flowcontrol.apiserver.k8s.io/v1": "FlowSchema* PriorityLevelConfiguration*",
  "flowcontrol.apiserver.k8s.io/v1beta1": "FlowSchema* PriorityLevelConfiguration*",
  "flowcontrol.apiserver.k8s.io/v1beta2": "FlowSchema* PriorityLevelConfiguration*",
  "flowcontrol.apiserver.k8s.io/v1beta3": "FlowSchema* PriorityLevelConfiguration*",
  "imagepolicy.k8s.io/v1alpha1": "ImageReview",
  "internal.apiserver.k8s.io/v1alpha1": "StorageVersion*",
  "lifecycle.k8s.io/v1alpha1": "Eviction* EvictionRequest*",
  "networking.k8s.io/v1": "IPAddress* Ingress* IngressClass* NetworkPolicy* ServiceCIDR*",
  "networking.k8s.io/v1beta1": "IPAddress* Ingress* IngressClass* ServiceCIDR*",
  "node.k8s.io/v1": "RuntimeClass*",
  "node.k8s.io/v1alpha1": "RuntimeClass*",
  "node.k8s.io/v1beta1": "RuntimeClass*",
  "policy/v1": "Eviction PodDisruptionBudget*",
  "policy/v1beta1": "Eviction PodDisruptionBudget*",
  "rbac.authorization.k8s.io/v1": "ClusterRole* ClusterRoleBinding* Role* RoleBinding*",
  "rbac.authorization.k8s.io/v1alpha1": "ClusterRole* ClusterRoleBinding* Role* RoleBinding*",
  "rbac.authorization.k8s.io/v1beta1": "ClusterRole* ClusterRoleBinding* Role* RoleBinding*",
  "resource.k8s.io/v1": "DeviceClass* DeviceTaintRule* ResourceClaim* ResourceClaimTemplate* ResourceSlice*",
  "resource.k8s.io/v1alpha3": "DeviceTaintRule* ResourcePoolStatusRequest*",
  "resource.k8s.io/v1beta1": "DeviceClass* ResourceClaim* ResourceClaimTemplate* ResourceSlice*",
  "resource.k8s.io/v1beta2": "DeviceClass* DeviceTaintRule* ResourceClaim* ResourceClaimTemplate* ResourceSlice*",
  "scheduling.k8s.io/v1": "PriorityClass*",
  "scheduling.k8s.io/v1alpha3": "CompositePodGroup* PodGroup* Workload*",
  "scheduling.k8s.io/v1beta1": "PodGroup* PriorityClass* Workload*",
  "storage.k8s.io/v1": "CSIDriver* CSINode* CSIStorageCapacity* StorageClass* VolumeAttachment* VolumeAttributesClass*",
  "storage.k8s.io/v1alpha1": "CSIStorageCapacity* VolumeAttachment* VolumeAttributesClass*",
  "storage.k8s.io/v1beta1":
    "CSIDriver* CSINode* CSIStorageCapacity* StorageClass* VolumeAttachment* VolumeAttributesClass*",
  "storagemigration.k8s.io/v1": "StorageVersionMigration*",
  "storagemigration.k8s.io/v1beta1": "StorageVersionMigration*",
  v1: "APIGroup* APIResourceList APIVersions Binding ComponentStatus* ConfigMap* Endpoints* Event* LimitRange* " +
    "List Namespace* Node* NodeProxyOptions PersistentVolume* PersistentVolumeClaim* Pod* PodAttachOptions " +
    "PodExecOptions PodLogOptions PodPortForwardOptions PodProxyOptions PodTemplate* RangeAllocation " +
    "ReplicationController* ResourceQuota* Secret* SerializedReference Service* ServiceAccount* " +
    "ServiceProxyOptions Status",
};

/** The kinds that exist in every group and version: options and watch events. */
const EVERYWHERE: readonly string[] = [
  "CreateOptions",
  "DeleteOptions",
  "GetOptions",
  "ListOptions",
  "PatchOptions",
  "UpdateOptions",
  "WatchEvent",
];

/** Kinds that a decoder accepts in any version, even in an unknown one (apimachinery `meta/v1/register.go`). */
export const UNVERSIONED_KINDS: readonly string[] = [
  "Status",
  "APIVersions",
  "APIGroup",
  "APIGroupList",
  "APIResourceList",
];

/** Whether kube-apiserver's decoders know a kind. */
export function isKnownKind(apiVersion: string, kind: string): boolean {
  if (UNVERSIONED_KINDS.includes(kind)) return true;
  if (!Object.hasOwn(KNOWN, apiVersion)) return false;
  if (EVERYWHERE.includes(kind)) return true;
  const known = (KNOWN[apiVersion] ?? "").split(" ");
  if (known.includes(kind) || known.includes(`${kind}*`)) return true;
  return kind.endsWith("List") && known.includes(`${kind.slice(0, -"List".length)}*`);
}

/** The position of the scheme in the sources of kube-apiserver, which is part of its messages. */
const SCHEME = "pkg/runtime/scheme.go:111";

/** Returns the internal Go type of a kind, such as `certificates.CertificateSigningRequest`. */
export function formatGoType({ group, kind }: Pick<Kind, "group" | "kind">): string {
  // Both groups of events share one internal type.
  const isCore = group === "" || group === "events.k8s.io";
  return `${isCore ? "core" : group.split(".")[0]}.${kind}`;
}

/** Formats the decoder's message for an unknown kind. */
export function formatUnknownKind(apiVersion: string, kind: string): string {
  return `no kind ${goQuote(kind)} is registered for version ${goQuote(apiVersion)} in scheme "${SCHEME}"`;
}

/** Formats the decoder's message for an unknown kind without a version. */
export function formatUnknownInternalKind(group: string, kind: string): string {
  return `no kind ${goQuote(kind)} is registered for the internal version of group ${goQuote(group)} ` +
    `in scheme "${SCHEME}"`;
}
