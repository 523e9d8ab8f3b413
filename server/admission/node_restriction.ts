/**
 * NodeRestriction (`plugin/pkg/admission/noderestriction/admission.go`): a kubelet writes its own objects only. Of its
 * rules those stand here that are about kinds this server keeps.
 */
import { parseRequest } from "../../core/csr/request.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../../core/kube/certificates_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import { quoteText } from "../../core/kube/quote.ts";
import { qualifiedResource } from "../../core/kube/schema.ts";
import { NODE_USER_PREFIX } from "../../core/kube/user.ts";
import { findNodeName } from "../authz/node_identity.ts";
import type { AdmissionPlugin, AdmissionRequest, Refusal } from "./admission.ts";
import { isCsr } from "./csr.ts";
import { findForbiddenLabels } from "./node_labels.ts";

const NODE_LEASE_NAMESPACE = "kube-node-lease";

/** The plugin. Creations and updates are checked in the mutating phase, before validation; deletions have no other. */
export const nodeRestriction: AdmissionPlugin = {
  name: "NodeRestriction",
  mutate(request) {
    const refusal = findRefusal(request);
    return Promise.resolve(
      refusal === undefined ? { kind: "admitted", object: request.object } : { kind: "refused", ...refusal },
    );
  },
  validate(request) {
    return Promise.resolve(request.operation === "DELETE" ? findRefusal(request) : undefined);
  },
};

function findRefusal(request: AdmissionRequest): Refusal | undefined {
  const nodeName = findNodeName(request.user);
  if (nodeName === undefined) return undefined;
  if (nodeName === "") {
    return { message: `could not determine node from user ${quoteText(request.user.username)}` };
  }
  switch (qualifiedResource(request.kind)) {
    case "nodes":
      return checkNode(nodeName, request);
    case "leases.coordination.k8s.io":
      return checkLease(nodeName, request);
    case "csinodes.storage.k8s.io":
      return checkCsiNode(nodeName, request);
    case "certificatesigningrequests.certificates.k8s.io":
      return checkCsr(nodeName, request);
    default:
      return undefined;
  }
}

function checkNode(nodeName: string, request: AdmissionRequest): Refusal | undefined {
  const node = `node ${quoteText(nodeName)}`;
  const { operation, name, object, oldObject } = request;
  if (name !== nodeName) return { message: `${node} is not allowed to modify node ${quoteText(name)}` };
  if (operation === "DELETE" || object === undefined) return undefined;
  const labels = object.metadata.labels ?? {};
  if (oldObject === undefined) {
    if (specOf(object)["configSource"] !== undefined) {
      return { message: `${node} is not allowed to create pods with a non-nil configSource` };
    }
    const forbidden = findForbiddenLabels(labels, {});
    if (forbidden.length === 0) return undefined;
    return { message: `${node} is not allowed to set the following labels: ${forbidden.join(", ")}` };
  }
  const config = specOf(object)["configSource"];
  if (config !== undefined && !isSame(config, specOf(oldObject)["configSource"])) {
    return { message: `${node} is not allowed to update configSource to a new non-nil configSource` };
  }
  if (!isSame(specOf(object)["taints"] ?? [], specOf(oldObject)["taints"] ?? [])) {
    return { message: `${node} is not allowed to modify taints` };
  }
  if (!isSame(object.metadata.ownerReferences ?? [], oldObject.metadata.ownerReferences ?? [])) {
    return { message: `${node} is not allowed to modify ownerReferences` };
  }
  const forbidden = findForbiddenLabels(labels, oldObject.metadata.labels ?? {});
  return forbidden.length === 0 ? undefined : { message: `is not allowed to modify labels: ${forbidden.join(", ")}` };
}

function checkLease(nodeName: string, request: AdmissionRequest): Refusal | undefined {
  if (request.namespace !== NODE_LEASE_NAMESPACE) {
    return { message: `can only access leases in the "${NODE_LEASE_NAMESPACE}" system namespace` };
  }
  if (targetName(request) === nodeName) return undefined;
  return { message: "can only access node lease with the same name as the requesting node" };
}

function checkCsiNode(nodeName: string, request: AdmissionRequest): Refusal | undefined {
  if (targetName(request) === nodeName) return undefined;
  return { message: "can only access CSINode with the same name as the requesting node" };
}

/** A node may ask for its own certificates only; what else stands in the request, the signer's profile decides. */
function checkCsr(nodeName: string, { operation, kind, object }: AdmissionRequest): Refusal | undefined {
  if (operation !== "CREATE" || !isCsr(kind, object)) return undefined;
  const { signerName, request } = object.spec;
  if (signerName !== KUBELET_SERVING_SIGNER && signerName !== KUBE_APISERVER_CLIENT_KUBELET_SIGNER) return undefined;
  const parsed = parseRequest(request);
  if (!parsed.ok) return { message: `unable to parse csr: ${parsed.error}` };
  const wanted = `${NODE_USER_PREFIX}${nodeName}`;
  if (parsed.value.subject.commonName === wanted) return undefined;
  return { message: `can only create a node CSR with CN=${wanted}` };
}

/** A creation's name stands in the object. */
function targetName({ operation, name, object }: AdmissionRequest): string {
  return operation === "CREATE" && object !== undefined ? getName(object) : name;
}

function specOf(object: KubeObject): Readonly<Record<string, unknown>> {
  const spec: unknown = "spec" in object ? object.spec : undefined;
  return typeof spec === "object" && spec !== null ? Object.fromEntries(Object.entries(spec)) : {};
}

/** Both are canonical, so equal content is equal text. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
