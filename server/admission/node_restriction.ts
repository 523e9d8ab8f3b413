/**
 * NodeRestriction (`plugin/pkg/admission/noderestriction/admission.go`): a kubelet writes only its own objects. This file
 * has the rules for the kinds that this server stores.
 */
import { isEqualJson } from "../../core/kube/json_value.ts";
import { decidePodRequest } from "../../core/signing/pod_request_admission.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import type { TokenRequest } from "../../core/kube/kinds/authentication_v1.ts";
import type { CertificateSigningRequest, PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
import { podCertificateRequestKind, podKind } from "../../core/kube/kinds/mod.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import { goQuote } from "../../core/lib/go_text.ts";
import { formatQualifiedResource } from "../../core/kube/schema.ts";
import { NODE_USER_PREFIX } from "../../core/kube/user.ts";
import { genericServerError, notFound } from "../../core/kube/status/status.ts";
import { type Authorizer, findNodeName, NODE_LEASE_NAMESPACE } from "../authz/authorizer.ts";
import { nodes } from "../registry/nodes.ts";
import { findPod } from "../registry/absent_kinds.ts";
import { type AdmissionPlugin, type AdmissionRequest, type Refusal, toStorageKey } from "../registry/registry.ts";
import { serviceAccounts } from "../registry/serviceaccounts.ts";
import type { Storage } from "../storage/storage.ts";

export interface NodeRestrictionDeps {
  readonly authorizer: Pick<Authorizer, "authorize">;
  readonly storage: Pick<Storage, "get">;
}

/**
 * Creates the NodeRestriction plugin. It checks creations and updates in the mutating phase, before validation, and
 * deletions, which have no mutating phase, in the validating phase.
 */
export function createNodeRestriction(deps: NodeRestrictionDeps): AdmissionPlugin {
  return {
    name: "NodeRestriction",
    mutate: (request) => findRefusal(deps, request),
    validate: (request) => request.operation === "DELETE" ? findRefusal(deps, request) : undefined,
  };
}

function findRefusal(
  deps: NodeRestrictionDeps,
  request: AdmissionRequest,
): Refusal | undefined | Promise<Refusal | undefined> {
  const nodeName = findNodeName(request.user);
  if (nodeName === undefined) return undefined;
  if (nodeName === "") {
    return { message: `could not determine node from user ${goQuote(request.user.username)}` };
  }
  switch (formatQualifiedResource(request.kind)) {
    case "nodes":
      return checkNode(nodeName, request);
    case "leases.coordination.k8s.io":
      return checkLease(nodeName, request);
    case "csinodes.storage.k8s.io":
      return checkCsiNode(nodeName, request);
    case "certificatesigningrequests.certificates.k8s.io":
      return checkCsr(nodeName, request);
    case "serviceaccounts":
      return checkTokenRequest(deps, request);
    case "podcertificaterequests.certificates.k8s.io":
      return checkPodRequest(deps, nodeName, request);
    default:
      return undefined;
  }
}

function checkNode(nodeName: string, request: AdmissionRequest): Refusal | undefined {
  const node = `node ${goQuote(nodeName)}`;
  const { operation, name, object, oldObject } = request;
  if (name !== nodeName) return { message: `${node} is not allowed to modify node ${goQuote(name)}` };
  if (operation === "DELETE" || object === undefined) return undefined;
  const labels = object.metadata.labels ?? {};
  if (oldObject === undefined) {
    if (getSpec(object)["configSource"] !== undefined) {
      return { message: `${node} is not allowed to create pods with a non-nil configSource` };
    }
    const forbidden = findForbiddenLabels(labels, {});
    if (forbidden.length === 0) return undefined;
    return { message: `${node} is not allowed to set the following labels: ${forbidden.join(", ")}` };
  }
  const config = getSpec(object)["configSource"];
  if (config !== undefined && !isEqualJson(config, getSpec(oldObject)["configSource"])) {
    return { message: `${node} is not allowed to update configSource to a new non-nil configSource` };
  }
  if (!isEqualJson(getSpec(object)["taints"] ?? [], getSpec(oldObject)["taints"] ?? [])) {
    return { message: `${node} is not allowed to modify taints` };
  }
  if (!isEqualJson(object.metadata.ownerReferences ?? [], oldObject.metadata.ownerReferences ?? [])) {
    return { message: `${node} is not allowed to modify ownerReferences` };
  }
  const forbidden = findForbiddenLabels(labels, oldObject.metadata.labels ?? {});
  return forbidden.length === 0 ? undefined : { message: `is not allowed to modify labels: ${forbidden.join(", ")}` };
}

function checkLease(nodeName: string, request: AdmissionRequest): Refusal | undefined {
  if (request.namespace !== NODE_LEASE_NAMESPACE) {
    return { message: `can only access leases in the "${NODE_LEASE_NAMESPACE}" system namespace` };
  }
  if (getTargetName(request) === nodeName) return undefined;
  return { message: "can only access node lease with the same name as the requesting node" };
}

function checkCsiNode(nodeName: string, request: AdmissionRequest): Refusal | undefined {
  if (getTargetName(request) === nodeName) return undefined;
  return { message: "can only access CSINode with the same name as the requesting node" };
}

/** A node may request only its own certificates. The signer's profile checks the rest of the request. */
function checkCsr(nodeName: string, { operation, object }: AdmissionRequest): Refusal | undefined {
  if (operation !== "CREATE") return undefined;
  const { signerName, request } = (object as CertificateSigningRequest).spec;
  if (signerName !== KUBELET_SERVING_SIGNER && signerName !== KUBE_APISERVER_CLIENT_KUBELET_SIGNER) return undefined;
  const parsed = parseRequest(request);
  if (!parsed.ok) return { message: `unable to parse csr: ${parsed.error}` };
  const wanted = `${NODE_USER_PREFIX}${nodeName}`;
  if (parsed.value.subject.commonName === wanted) return undefined;
  return { message: `can only create a node CSR with CN=${wanted}` };
}

/**
 * A node may request only tokens that are bound to one of its pods, and must give the pod's uid. The volumes of the pod
 * list the audiences that its tokens may have. Only the kube-apiserver that serves the pod knows them, so this server
 * refuses every such request.
 */
async function checkTokenRequest(
  { storage }: NodeRestrictionDeps,
  { operation, subresource, namespace, object }: AdmissionRequest,
): Promise<Refusal | undefined> {
  if (operation !== "CREATE" || subresource !== "token") return undefined;
  const { apiVersion, kind, name = "", uid = "" } = (object as TokenRequest).spec.boundObjectRef ?? {};
  if (apiVersion !== "v1" || kind !== "Pod" || name === "") {
    return { message: "node requested token not bound to a pod" };
  }
  if (uid === "") return { message: "node requested token with a pod binding without a uid" };
  if (await findPod(storage, namespace, name) === undefined) throw notFound(LISTED_PODS, name);
  return { message: "node must request the tokens of its pods from the API server that serves the pods" };
}

/** The resource in the error for a missing pod. kube-apiserver's plugin reads a cache, whose errors use the singular. */
const LISTED_PODS = { group: podKind.group, plural: podKind.singular };

/** A node may request certificates for its pods. The pods are those of a kube-apiserver on the same etcd. */
async function checkPodRequest(
  { authorizer, storage }: NodeRestrictionDeps,
  nodeName: string,
  { operation, subresource, namespace, user, object }: AdmissionRequest,
): Promise<Refusal | undefined> {
  if (operation !== "CREATE") return { message: `unexpected operation ${operation}` };
  if (subresource !== "") return { message: `unexpected subresource ${subresource}` };
  const request = object as PodCertificateRequest;
  const { podName, serviceAccountName, signerName } = request.spec;
  const [node, pod, serviceAccount] = await Promise.all([
    storage.get(toStorageKey(nodes, "", nodeName)),
    findPod(storage, namespace, podName),
    storage.get(toStorageKey(serviceAccounts, namespace, serviceAccountName)),
  ]);
  const verdict = decidePodRequest(request, nodeName, namespace, {
    node: node?.object,
    pod,
    serviceAccount: serviceAccount?.object,
  });
  switch (verdict.kind) {
    case "admit":
      return undefined;
    case "forbid":
      return { message: verdict.message };
    case "retry":
      throw genericServerError(verdict.message);
    case "unmounted": {
      const decision = await authorizer.authorize(user, {
        kind: "resource",
        verb: "request-serviceaccounts-podcertificate-signer",
        apiGroup: podCertificateRequestKind.group,
        apiVersion: podCertificateRequestKind.version,
        // RBAC has no resources with a slash.
        resource: signerName.replaceAll("/", ":"),
        subresource: "",
        name: serviceAccountName,
        namespace,
      });
      if (decision.kind === "allow") return undefined;
      const path = goQuote(`${namespace}/${podName}`);
      return {
        message: `pod ${path} does not mount a podCertificate projected volume for signer ${goQuote(signerName)}`,
      };
    }
  }
}

/** The name of a created object is in its metadata, because the URL of a POST has none. */
function getTargetName({ operation, name, object }: AdmissionRequest): string {
  return operation === "CREATE" && object !== undefined ? getName(object) : name;
}

function getSpec(object: KubeObject): Readonly<Record<string, unknown>> {
  const spec: unknown = "spec" in object ? object.spec : undefined;
  return typeof spec === "object" && spec !== null ? Object.fromEntries(Object.entries(spec)) : {};
}

/** The labels in an object's metadata. */
export type Labels = Readonly<Record<string, string>>;

/** Labels of Kubernetes that a kubelet may set on its own node (`k8s.io/kubelet/pkg/apis/well_known_labels.go`). */
const KUBELET_LABELS: ReadonlySet<string> = new Set([
  "kubernetes.io/hostname",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
]);
const KUBELET_NAMESPACES = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const RESTRICTED_NAMESPACE = "node-restriction.kubernetes.io";

/**
 * Lists the changed labels that a kubelet may not change, sorted: restricted labels, and Kubernetes labels that it does
 * not own.
 */
export function findForbiddenLabels(labels: Labels, oldLabels: Labels): readonly string[] {
  const keys = new Set([...Object.keys(labels), ...Object.keys(oldLabels)]);
  return [...keys].filter((key) => labels[key] !== oldLabels[key] && isForbidden(key)).sort();
}

function isForbidden(key: string): boolean {
  const namespace = getLabelNamespace(key);
  if (isWithin(namespace, RESTRICTED_NAMESPACE)) return true;
  const isKubernetes = isWithin(namespace, "kubernetes.io") || isWithin(namespace, "k8s.io");
  return isKubernetes && !KUBELET_LABELS.has(key) &&
    !KUBELET_NAMESPACES.some((allowed) => isWithin(namespace, allowed));
}

function getLabelNamespace(key: string): string {
  const slash = key.indexOf("/");
  return slash < 0 ? "" : key.slice(0, slash);
}

function isWithin(namespace: string, domain: string): boolean {
  return namespace === domain || namespace.endsWith(`.${domain}`);
}
