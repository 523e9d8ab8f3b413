/**
 * The Node authorizer (`plugin/pkg/auth/authorizer/node/node_authorizer.go`): what a kubelet may do follows from its
 * name, not from a binding. No pods run here, so nothing relates a node to secrets, configmaps or service accounts, and
 * the graph that upstream keeps has no edges.
 */
import type { UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision, ResourceAttributes } from "../../core/rbac/attributes.ts";
import { NODE_RULES } from "../../core/rbac/node_rules.ts";
import { rulesAllow } from "../../core/rbac/rules.ts";
import { findNodeName } from "./node_identity.ts";
import { quoteText } from "../../core/kube/quote.ts";

/** Evaluation error of a rules review for a node. */
export const NODE_RULES_ERROR = "node authorizer does not support user rule resolution";

const NODE_LEASE_NAMESPACE = "kube-node-lease";
const OWN_OBJECT_VERBS: ReadonlySet<string> = new Set(["get", "create", "update", "patch", "delete"]);
const ALLOW: Decision = { kind: "allow", reason: "" };

/** Decides for node users; has no opinion of anybody else. */
export function authorizeNode(user: UserInfo, attributes: Attributes): Decision {
  const nodeName = findNodeName(user);
  if (nodeName === undefined) return noOpinion("");
  if (nodeName === "") return noOpinion(`unknown node for user ${quoteText(user.username)}`);
  const special = attributes.kind === "resource" ? authorizeSpecial(nodeName, attributes) : undefined;
  if (special !== undefined) return special;
  return rulesAllow(attributes, NODE_RULES) ? ALLOW : noOpinion("");
}

/** Resources whose access depends on the node's name; undefined for the rest. */
function authorizeSpecial(nodeName: string, attributes: ResourceAttributes): Decision | undefined {
  switch (`${attributes.resource}.${attributes.apiGroup}`) {
    case "nodes.":
      return authorizeOwnNode(nodeName, attributes);
    case "leases.coordination.k8s.io":
      return authorizeLease(nodeName, attributes);
    case "csinodes.storage.k8s.io":
      return authorizeCsiNode(nodeName, attributes);
    case "secrets.":
    case "configmaps.":
      return authorizeRelated(nodeName, attributes);
    case "serviceaccounts.":
      return authorizeServiceAccount(nodeName, attributes);
    case "persistentvolumeclaims.":
    case "persistentvolumes.":
    case "volumeattachments.storage.k8s.io":
    case "resourceclaims.resource.k8s.io":
      return unrelated(nodeName);
    case "pods.":
      // A pod that names the node cannot exist here; the rest of the kubelet's rights on pods are in the static rules.
      return attributes.verb === "get" ? unrelated(nodeName) : undefined;
    default:
      return undefined;
  }
}

function authorizeOwnNode(nodeName: string, { verb, subresource, name }: ResourceAttributes): Decision {
  // Whose node it is, NodeRestriction checks on writes: a create has no name yet.
  if (subresource === "status") return verb === "update" || verb === "patch" ? ALLOW : noOpinion("");
  if (subresource !== "") return noOpinion("");
  switch (verb) {
    case "create":
    case "update":
    case "patch":
      return ALLOW;
    case "get":
    case "list":
    case "watch":
      if (name === nodeName) return ALLOW;
      return noOpinion(
        name === ""
          ? `node '${nodeName}' cannot read all nodes, only its own Node object`
          : `node '${nodeName}' cannot read '${name}', only its own Node object`,
      );
    default:
      return noOpinion("");
  }
}

function authorizeLease(nodeName: string, { verb, namespace, name }: ResourceAttributes): Decision {
  if (!OWN_OBJECT_VERBS.has(verb)) return noOpinion("can only get, create, update, patch, or delete a node lease");
  if (namespace !== NODE_LEASE_NAMESPACE) {
    return noOpinion(`can only access leases in the "${NODE_LEASE_NAMESPACE}" system namespace`);
  }
  if (verb !== "create" && name !== nodeName) {
    return noOpinion("can only access node lease with the same name as the requesting node");
  }
  return ALLOW;
}

function authorizeCsiNode(nodeName: string, { verb, subresource, name }: ResourceAttributes): Decision {
  if (subresource === "status") return noOpinion("CSINode status access requires CSIVolumeHealth feature");
  if (subresource !== "") return noOpinion("cannot authorize CSINode subresources");
  if (!OWN_OBJECT_VERBS.has(verb)) return noOpinion("can only get, create, update, patch, or delete a CSINode");
  if (verb !== "create" && name !== nodeName) {
    return noOpinion("can only access CSINode with the same name as the requesting node");
  }
  return ALLOW;
}

function authorizeRelated(nodeName: string, attributes: ResourceAttributes): Decision {
  if (!["get", "list", "watch"].includes(attributes.verb)) {
    return noOpinion("can only read resources of this type");
  }
  if (attributes.subresource !== "") return noOpinion("cannot read subresource");
  if (attributes.namespace === "") return noOpinion("can only read namespaced object of this type");
  if (attributes.name === "") return noOpinion("No Object name found");
  return unrelated(nodeName);
}

function authorizeServiceAccount(nodeName: string, attributes: ResourceAttributes): Decision {
  if (attributes.verb === "get" && attributes.subresource === "") return authorizeRelated(nodeName, attributes);
  if (attributes.verb !== "create" || attributes.name === "") {
    return noOpinion("can only create tokens for individual service accounts");
  }
  if (attributes.subresource !== "token") return noOpinion("can only create token subresource of serviceaccount");
  return unrelated(nodeName);
}

function unrelated(nodeName: string): Decision {
  return noOpinion(`no relationship found between node '${nodeName}' and this object`);
}

function noOpinion(reason: string): Decision {
  return { kind: "noOpinion", reason };
}
