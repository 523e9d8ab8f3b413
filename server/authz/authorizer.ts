/**
 * The authorizer chain `Node,RBAC`: the privileged group, then nodes, then roles. The first allow decides, and a request
 * that no authorizer allows is refused (`pkg/kubeapiserver/authorizer/config.go`) with a 403
 * (`apiserver/pkg/endpoints/handlers/responsewriters/errors.go`).
 *
 * The permissions of a kubelet follow from its user name (`pkg/auth/nodeidentifier/default.go`), not from a binding
 * (`plugin/pkg/auth/authorizer/node/node_authorizer.go`). No pods run here, so no node is related to secrets, claims or
 * service accounts. Of the edges in upstream's graph, only those from a PodCertificateRequest to its node exist.
 *
 * Roles and bindings are indexed from the storage. A write takes effect before it is acknowledged.
 */
import type { SubjectRulesReviewStatus } from "../../core/kube/kinds/authorization_v1.ts";
import type { PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { CERTIFICATES_GROUP } from "../../core/kube/kinds/constants.ts";
import { MASTERS_GROUP, NODE_USER_PREFIX, NODES_GROUP, type UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision, ResourceAttributes } from "../../core/rbac/attributes.ts";
import { createRulesReview, evaluateRbac, type RbacObjects, rulesAllow } from "../../core/rbac/evaluate.ts";
import { NODE_RULES } from "../../core/rbac/default_rules/components.ts";
import type { Logger } from "../../core/ports.ts";
import type { Storage } from "../storage/storage.ts";
import { goQuote } from "../../core/lib/go_text.ts";
import { forbidden, NO_RESOURCE, StatusError } from "../../core/kube/status/status.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../core/kube/kinds/rbac_v1.ts";
import { followInto } from "../storage/follow.ts";

/** Decides what a user may do. */
export interface Authorizer {
  authorize(user: UserInfo, attributes: Attributes): Promise<Decision>;
  /** Lists what a user may do in a namespace, as far as the rules of the authorizers can be enumerated. */
  rulesFor(user: UserInfo, namespace: string): Promise<SubjectRulesReviewStatus>;
}

/** Creates the authorizer chain. A change of roles takes effect at once. */
export function createAuthorizer(
  deps: { readonly rbac: RbacSource; readonly storage: Pick<Storage, "get"> },
): Authorizer {
  return {
    async authorize(user, attributes) {
      if (user.groups.includes(MASTERS_GROUP)) return { kind: "allow", reason: "" };
      const node = await authorizeNode(user, attributes, deps.storage);
      if (node.kind !== "noOpinion") return node;
      const rbac = evaluateRbac(user, attributes, deps.rbac.objects());
      if (rbac.kind !== "noOpinion") return rbac;
      return { kind: "noOpinion", reason: joinReasons({ node: node.reason, rbac: rbac.reason }) };
    },
    rulesFor(user, namespace) {
      const status = createRulesReview(user, namespace, deps.rbac.objects());
      if (!isNodeUser(user)) return Promise.resolve(status);
      const errors = [NODE_RULES_ERROR, ...(status.evaluationError === undefined ? [] : [status.evaluationError])];
      return Promise.resolve({ ...status, incomplete: true, evaluationError: joinErrors(errors) });
    },
  };
}

/** Prefixes each authorizer's text with its name (`apiserver/pkg/authorization/union/union.go`). */
function joinReasons(reasons: Readonly<Record<string, string>>): string {
  return Object.entries(reasons).filter(([, text]) => text !== "").map(([name, text]) => `${name}: ${text}`).join("\n");
}

/** Joins several errors into one text (apimachinery `util/errors`, `Aggregate`). */
export function joinErrors(errors: readonly string[]): string {
  return errors.length === 1 ? errors[0] ?? "" : `[${errors.join(", ")}]`;
}

/** Creates the StatusError 403 for a request that is not allowed; `reason` may be empty. */
export function createDeniedError(user: UserInfo, attributes: Attributes, reason: string): StatusError {
  const suffix = reason === "" ? "" : `: ${reason}`;
  const why = `${
    escapeMarkup(`User ${goQuote(user.username)} cannot ${attributes.verb} ${describe(attributes)}`)
  }${suffix}`;
  if (attributes.kind === "path") return forbidden(NO_RESOURCE, "", why);
  return forbidden({ group: attributes.apiGroup, plural: attributes.resource }, attributes.name, why);
}

/**
 * Adds `X-Content-Type-Options: nosniff` to an error. A request that is refused before it reaches its handler gets this
 * header (`Forbidden` in `responsewriters/errors.go`).
 */
export function withNosniff(error: StatusError): StatusError {
  return new StatusError(error.status, {
    cause: error.cause,
    headers: { ...error.headers, "x-content-type-options": "nosniff" },
  });
}

function describe(attributes: Attributes): string {
  if (attributes.kind === "path") return `path ${goQuote(attributes.path)}`;
  const { resource, subresource, apiGroup, namespace } = attributes;
  const target = goQuote(subresource === "" ? resource : `${resource}/${subresource}`);
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace ${goQuote(namespace)}`;
  return `resource ${target} in API group ${goQuote(apiGroup)} ${scope}`;
}

/** Escapes markup, so that a browser shows the names in a message as text. */
export function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const NODE_RULES_ERROR = "node authorizer does not support user rule resolution";

/** Decides for node users, and has no opinion about other users. It never denies a request outright. */
export async function authorizeNode(
  user: UserInfo,
  attributes: Attributes,
  storage: Pick<Storage, "get">,
): Promise<Decision> {
  const nodeName = findNodeName(user);
  if (nodeName === undefined) return noOpinion("");
  if (nodeName === "") return noOpinion(`unknown node for user ${goQuote(user.username)}`);
  if (attributes.kind === "resource") {
    const rule = RULES[`${attributes.resource}.${attributes.apiGroup}`];
    if (rule !== undefined) return await rule(nodeName, attributes, storage);
  }
  return rulesAllow(attributes, NODE_RULES) ? ALLOW : noOpinion("");
}

const ALLOW: Decision = { kind: "allow", reason: "" };

/** RBAC may still allow the request; the reason may be empty. */
function noOpinion(reason: string): Decision {
  return { kind: "noOpinion", reason };
}

/** Reports whether a user is a node, which requires both the name and the group. */
function isNodeUser(user: UserInfo): boolean {
  return user.username.startsWith(NODE_USER_PREFIX) && user.groups.includes(NODES_GROUP);
}

/** Finds the name of the node behind a user (possibly empty); undefined when the user is not a node. */
export function findNodeName(user: UserInfo): string | undefined {
  return isNodeUser(user) ? user.username.slice(NODE_USER_PREFIX.length) : undefined;
}

/** Decides a request of a node for one kind of resource. */
type Rule = (
  nodeName: string,
  attributes: ResourceAttributes,
  storage: Pick<Storage, "get">,
) => Decision | Promise<Decision>;

export const NODE_LEASE_NAMESPACE = "kube-node-lease";
const OWN_OBJECT_VERBS: readonly string[] = ["get", "create", "update", "patch", "delete"];

/** The rules by `resource.group`. For other resources every node has the same permissions. */
const RULES: Readonly<Record<string, Rule>> = {
  "configmaps.": readNamespaced,
  "csinodes.storage.k8s.io": useCsiNode,
  "leases.coordination.k8s.io": useLease,
  "nodes.": useNode,
  "persistentvolumeclaims.": (nodeName, attributes) =>
    attributes.subresource === "status" ? writeStatus(nodeName, attributes) : getOne(nodeName, attributes),
  "persistentvolumes.": getOne,
  "podcertificaterequests.certificates.k8s.io": usePodCertificateRequests,
  "pods.": usePods,
  "resourceclaims.resource.k8s.io": getOne,
  "resourceslices.resource.k8s.io": useResourceSlices,
  "secrets.": readNamespaced,
  "serviceaccounts.": useServiceAccount,
  "volumeattachments.storage.k8s.io": getOne,
};

function useNode(nodeName: string, { verb, subresource, name }: ResourceAttributes): Decision {
  // NodeRestriction compares the names of nodes on writes, because a create has no name here yet.
  if (subresource === "status") return verb === "update" || verb === "patch" ? ALLOW : noOpinion("");
  if (subresource !== "") return noOpinion("");
  if (["create", "update", "patch"].includes(verb)) return ALLOW;
  if (!["get", "list", "watch"].includes(verb)) return noOpinion("");
  if (name === nodeName) return ALLOW;
  const what = name === "" ? "all nodes" : `'${name}'`;
  return noOpinion(`node '${nodeName}' cannot read ${what}, only its own Node object`);
}

function useLease(nodeName: string, { verb, namespace, name }: ResourceAttributes): Decision {
  if (!OWN_OBJECT_VERBS.includes(verb)) return noOpinion("can only get, create, update, patch, or delete a node lease");
  if (namespace !== NODE_LEASE_NAMESPACE) {
    return noOpinion(`can only access leases in the "${NODE_LEASE_NAMESPACE}" system namespace`);
  }
  if (verb !== "create" && name !== nodeName) {
    return noOpinion("can only access node lease with the same name as the requesting node");
  }
  return ALLOW;
}

function useCsiNode(nodeName: string, { verb, subresource, name }: ResourceAttributes): Decision {
  if (subresource === "status") return noOpinion("CSINode status access requires CSIVolumeHealth feature");
  if (subresource !== "") return noOpinion("cannot authorize CSINode subresources");
  if (!OWN_OBJECT_VERBS.includes(verb)) return noOpinion("can only get, create, update, patch, or delete a CSINode");
  if (verb !== "create" && name !== nodeName) {
    return noOpinion("can only access CSINode with the same name as the requesting node");
  }
  return ALLOW;
}

function usePods(nodeName: string, attributes: ResourceAttributes): Decision {
  const { verb, subresource, name } = attributes;
  // On writes, upstream's NodeRestriction checks that the pods belong to the node.
  if (subresource === "status") return verb === "update" || verb === "patch" ? ALLOW : noOpinion("");
  if (subresource === "eviction") return verb === "create" ? ALLOW : noOpinion("");
  if (subresource !== "") return noOpinion("");
  switch (verb) {
    case "get":
      return getOne(nodeName, attributes);
    case "list":
    case "watch":
      if (isLimitedTo(attributes, "spec.nodeName", nodeName)) return ALLOW;
      if (name !== "") return unrelated(nodeName);
      return noOpinion("can only list/watch pods with spec.nodeName field selector");
    case "create":
    case "delete":
      return ALLOW;
    default:
      return noOpinion("");
  }
}

function useResourceSlices(nodeName: string, attributes: ResourceAttributes): Decision {
  if (attributes.subresource !== "") return noOpinion("cannot authorize ResourceSlice subresources");
  switch (attributes.verb) {
    case "create":
      return ALLOW;
    case "get":
    case "update":
    case "patch":
    case "delete":
      return findRelated(nodeName, attributes);
    case "list":
    case "watch":
    case "deletecollection":
      if (isLimitedTo(attributes, "spec.nodeName", nodeName)) return ALLOW;
      return noOpinion("can only list/watch/deletecollection resourceslices with nodeName field selector");
    default:
      return noOpinion(
        "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, " +
          "deletecollection",
      );
  }
}

async function usePodCertificateRequests(
  nodeName: string,
  attributes: ResourceAttributes,
  storage: Pick<Storage, "get">,
): Promise<Decision> {
  if (attributes.subresource !== "") {
    return noOpinion("nodes may not access the status subresource of PodCertificateRequests");
  }
  switch (attributes.verb) {
    case "create":
      // NodeRestriction compares the pod, its service account and its node.
      return ALLOW;
    case "get": {
      const stored = await storage.get(`/registry/podcertificaterequests/${attributes.namespace}/${attributes.name}`);
      const request = stored?.object as PodCertificateRequest | undefined;
      return request?.spec.nodeName === nodeName ? ALLOW : findRelated(nodeName, attributes);
    }
    case "list":
    case "watch":
      if (isLimitedTo(attributes, "spec.nodeName", nodeName)) return ALLOW;
      return noOpinion("can only list/watch podcertificaterequests with nodeName field selector");
    default:
      return noOpinion(`nodes may not ${attributes.verb} podcertificaterequests`);
  }
}

function useServiceAccount(nodeName: string, attributes: ResourceAttributes): Decision {
  if (attributes.verb === "get" && attributes.subresource === "") return readNamespaced(nodeName, attributes);
  if (attributes.verb !== "create" || attributes.name === "") {
    return noOpinion("can only create tokens for individual service accounts");
  }
  if (attributes.subresource !== "token") return noOpinion("can only create token subresource of serviceaccount");
  return unrelated(nodeName);
}

function readNamespaced(nodeName: string, attributes: ResourceAttributes): Decision {
  if (!["get", "list", "watch"].includes(attributes.verb)) return noOpinion("can only read resources of this type");
  if (attributes.subresource !== "") return noOpinion("cannot read subresource");
  if (attributes.namespace === "") return noOpinion("can only read namespaced object of this type");
  return findRelated(nodeName, attributes);
}

function getOne(nodeName: string, attributes: ResourceAttributes): Decision {
  if (attributes.verb !== "get") return noOpinion("can only get individual resources of this type");
  if (attributes.subresource !== "") return noOpinion("cannot get subresource");
  return findRelated(nodeName, attributes);
}

function writeStatus(nodeName: string, attributes: ResourceAttributes): Decision {
  if (attributes.verb !== "update" && attributes.verb !== "patch") {
    return noOpinion("can only get/update/patch this type");
  }
  return findRelated(nodeName, attributes);
}

function findRelated(nodeName: string, { name }: ResourceAttributes): Decision {
  return name === "" ? noOpinion("No Object name found") : unrelated(nodeName);
}

function unrelated(nodeName: string): Decision {
  return noOpinion(`no relationship found between node '${nodeName}' and this object`);
}

function isLimitedTo({ fieldSelector }: ResourceAttributes, field: string, value: string): boolean {
  return (fieldSelector ?? []).some((item) => item.field === field && item.operator === "=" && item.value === value);
}

/** The dependencies of a permission check for a signer. */
export interface SignerCheckDeps {
  readonly authorizer: Pick<Authorizer, "authorize">;
  readonly logger: Logger;
}

/**
 * Reports whether a user may `approve`, `sign` or `attest` for a signer. The full name is authorized first, then
 * `<domain>/*`; a failing authorizer allows nothing (`pkg/certauthorization/certauthorization.go`).
 */
export async function isAllowedForSigner(
  deps: SignerCheckDeps,
  user: UserInfo,
  verb: "approve" | "sign" | "attest",
  signerName: string,
): Promise<boolean> {
  const slash = signerName.indexOf("/");
  const domain = slash < 0 ? signerName : signerName.slice(0, slash);
  for (const name of [signerName, `${domain}/*`]) {
    try {
      const decision = await deps.authorizer.authorize(user, {
        kind: "resource",
        verb,
        apiGroup: CERTIFICATES_GROUP,
        apiVersion: "*",
        resource: "signers",
        subresource: "",
        name,
        namespace: "",
      });
      if (decision.kind === "allow") return true;
    } catch (error) {
      deps.logger.error("signer permission could not be checked", { user: user.username, verb, signerName, error });
    }
  }
  return false;
}

/** The roles and bindings that the authorizer uses. */
export interface RbacSource extends Disposable {
  /** Returns the current roles and bindings. */
  objects(): RbacObjects;
}

/** Reads the roles and bindings of the storage, then follows their changes. */
export async function createRbacSource(storage: Storage): Promise<RbacSource> {
  const clusterRoles = new Map<string, ClusterRole>();
  const clusterRoleBindings = new Map<string, ClusterRoleBinding>();
  const roles = new Map<string, Role>();
  const roleBindings = new Map<string, RoleBinding>();
  let current: RbacObjects | undefined;
  const changed = () => {
    current = undefined;
  };
  const watches = [
    await followInto(storage, "/registry/clusterroles/", clusterRoles, changed),
    await followInto(storage, "/registry/clusterrolebindings/", clusterRoleBindings, changed),
    await followInto(storage, "/registry/roles/", roles, changed),
    await followInto(storage, "/registry/rolebindings/", roleBindings, changed),
  ];
  return {
    objects() {
      // Built on the first call after a change, because a start-up writes about a hundred roles before the first request.
      current ??= {
        clusterRoles,
        clusterRoleBindings: sortByName([...clusterRoleBindings.values()]),
        roles,
        roleBindings: groupByNamespace(roleBindings),
      };
      return current;
    },
    [Symbol.dispose]() {
      for (const watch of watches) watch.stop();
    },
  };
}

function groupByNamespace(bindings: ReadonlyMap<string, RoleBinding>): ReadonlyMap<string, readonly RoleBinding[]> {
  const groups = new Map<string, RoleBinding[]>();
  for (const [key, binding] of bindings) {
    const namespace = key.slice(0, key.indexOf("/"));
    const group = groups.get(namespace);
    if (group === undefined) groups.set(namespace, [binding]);
    else group.push(binding);
  }
  for (const group of groups.values()) sortByName(group);
  return groups;
}

/** Sorts bindings, so that the reason for an allowed request is always the same; Kubernetes does not sort them. */
function sortByName<T extends KubeObject>(objects: T[]): T[] {
  return objects.sort((a, b) => (getName(a) < getName(b) ? -1 : 1));
}
