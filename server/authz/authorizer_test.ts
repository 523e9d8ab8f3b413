import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clusterRole,
  clusterRoleBinding,
  groupSubject,
  pathRequest,
  resourceRequest,
  role,
  roleBinding,
  testUser,
  userSubject,
} from "../../tests/support/test_rbac.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Attributes, ResourceAttributes } from "../../core/rbac/attributes.ts";
import { createRbacWorld, getStorageKey } from "../../tests/support/test_authz.ts";
import { createLossyStorage } from "../../tests/support/lossy_storage.ts";
import { authorizeNode, createDeniedError, createRbacSource } from "./authorizer.ts";
import type { Storage } from "../storage/storage.ts";

const getPods = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const binding = clusterRoleBinding("b", "reader", groupSubject("g"));
const user = testUser("u", "g");

const formatNames = (objects: readonly KubeObject[] = []) => objects.map(({ metadata }) => metadata.name).join("");

test("createAuthorizer() lets system:masters do everything, whatever the bindings are", async () => {
  const { authorizer } = await createRbacWorld();
  const decision = await authorizer.authorize(testUser("root", "system:masters"), resourceRequest({ verb: "sign" }));
  assert.deepEqual(decision, { kind: "allow", reason: "" });
});

test("createAuthorizer() follows every write at once", async () => {
  const { authorizer, storage } = await createRbacWorld();
  const kind = async () => (await authorizer.authorize(user, resourceRequest({ namespace: "n" }))).kind;
  assert.equal(await kind(), "noOpinion");
  const reader = clusterRole("reader", [getPods]);
  const storedRole = await storage.create(getStorageKey("clusterroles", reader), reader);
  const storedBinding = await storage.create(getStorageKey("clusterrolebindings", binding), binding);
  assert.equal(await kind(), "allow");
  const emptied = await storage.update(storedRole.key, { ...reader, rules: [] } as typeof reader, storedRole.revision);
  assert.equal(await kind(), "noOpinion");
  await storage.update(emptied.key, reader, emptied.revision);
  assert.equal(await kind(), "allow");
  await storage.delete(storedBinding.key, storedBinding.revision);
  assert.equal(await kind(), "noOpinion");

  const local = roleBinding("n", "b", "Role", "local", groupSubject("g"));
  await storage.create(getStorageKey("roles", role("n", "local", [])), role("n", "local", [getPods]));
  await storage.create(getStorageKey("rolebindings", local), local);
  assert.equal(await kind(), "allow");
});

test("createAuthorizer() joins the reasons of authorizers without an opinion, each after its name", async () => {
  const { authorizer } = await createRbacWorld([
    ["clusterrolebindings", clusterRoleBinding("b", "gone", groupSubject("system:nodes"))],
  ]);
  const node = testUser("system:node:n1", "system:nodes");
  assert.deepEqual(await authorizer.authorize(node, resourceRequest({ resource: "nodes", verb: "list" })), {
    kind: "noOpinion",
    reason: "node: node 'n1' cannot read all nodes, only its own Node object\n" +
      'rbac: RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
  });
});

test("createAuthorizer() lets RBAC grant a node more than the Node authorizer does", async () => {
  const nodes = clusterRole("nodes", [{ verbs: ["list"], apiGroups: [""], resources: ["nodes"] }]);
  const { authorizer } = await createRbacWorld([
    ["clusterroles", nodes],
    ["clusterrolebindings", clusterRoleBinding("b", "nodes", userSubject("system:node:n1"))],
  ]);
  const node = testUser("system:node:n1", "system:nodes");
  const decision = await authorizer.authorize(node, resourceRequest({ resource: "nodes", verb: "list" }));
  assert.equal(decision.kind, "allow");
});

test("createAuthorizer() lets a node do what the Node authorizer allows, without a role", async () => {
  const { authorizer } = await createRbacWorld();
  const request = resourceRequest({ resource: "nodes", name: "n1" });
  assert.equal((await authorizer.authorize(testUser("system:node:n1", "system:nodes"), request)).kind, "allow");
  assert.deepEqual(await authorizer.authorize(user, request), { kind: "noOpinion", reason: "" });
});

test("createAuthorizer() reports a missing role after the limits of a node's rules", async () => {
  const gone = clusterRoleBinding("b", "gone", groupSubject("system:nodes"));
  const { authorizer } = await createRbacWorld([["clusterrolebindings", gone]]);
  const { evaluationError } = await authorizer.rulesFor(testUser("system:node:n1", "system:nodes"), "default");
  assert.equal(
    evaluationError,
    "[node authorizer does not support user rule resolution, " +
      'clusterrole.rbac.authorization.k8s.io "gone" not found]',
  );
});

for (
  const { attributes, reason = "", want } of [
    { attributes: pathRequest("/healthz"), want: 'forbidden: User "&lt;u&gt;" cannot get path "/healthz"' },
    { attributes: resourceRequest({}), want: 'resource "pods" in API group "" at the cluster scope' },
    {
      attributes: resourceRequest({ apiGroup: "apps", subresource: "scale", namespace: "n", name: "<d>" }),
      reason: "<why>",
      want: 'resource "pods/scale" in API group "apps" in the namespace "n": <why>',
    },
  ]
) {
  test(`createDeniedError() ends with ${want}`, () => {
    const { status, message } = createDeniedError(testUser("<u>"), attributes, reason);
    assert.equal(status.code, 403);
    assert.match(message, /User "&lt;u&gt;" cannot get /);
    assert.ok(message.endsWith(want), message);
    assert.equal(status.details?.kind, attributes.kind === "path" ? undefined : "pods");
    if (attributes.kind === "path") assert.equal(message, want);
  });
}

test("createRbacSource() reads earlier and later objects, and groups bindings by namespace in order", async () => {
  const local = ["b", "a", "c"].map((name) => roleBinding("n", name, "Role", "local", groupSubject("g")));
  const other = roleBinding("m", "z", "Role", "local", groupSubject("g"));
  const world = await createRbacWorld([
    ...[...local, other].map((object) => ["rolebindings", object] as const),
    ...["b", "a", "c"].map((name) =>
      ["clusterrolebindings", clusterRoleBinding(name, "reader", groupSubject("g"))] as const
    ),
  ]);
  using later = await createRbacSource(world.storage);
  for (const source of [world.rbac, later]) {
    const { roleBindings, clusterRoleBindings } = source.objects();
    assert.equal(formatNames(roleBindings.get("n")), "abc");
    assert.equal(formatNames(roleBindings.get("m")), "z");
    assert.equal(formatNames(clusterRoleBindings), "abc");
  }
});

test("createRbacSource() reads everything again when its watch is lost, and drops what is gone", async () => {
  const { storage } = await createRbacWorld([["clusterrolebindings", binding]]);
  const lossy = createLossyStorage(storage, "/registry/clusterrolebindings/");
  using rbac = await createRbacSource(lossy.storage);
  assert.equal(formatNames(rbac.objects().clusterRoleBindings), "b");
  const key = getStorageKey("clusterrolebindings", binding);
  await storage.delete(key, (await storage.get(key))!.revision);
  const next = clusterRoleBinding("c", "reader", groupSubject("g"));
  await storage.create(getStorageKey("clusterrolebindings", next), next);
  await lossy.loseWatch();
  assert.equal(formatNames(rbac.objects().clusterRoleBindings), "c");
});

test("createAuthorizer() reports that a node's rules are incomplete", async () => {
  const { authorizer } = await createRbacWorld();
  assert.deepEqual(await authorizer.rulesFor(testUser("system:node:n1", "system:nodes"), "default"), {
    resourceRules: [],
    nonResourceRules: [],
    incomplete: true,
    evaluationError: "node authorizer does not support user rule resolution",
  });
  assert.equal((await authorizer.rulesFor(user, "default")).incomplete, false);
});

test("createRbacSource() stops following when it is disposed", async () => {
  const { rbac, storage } = await createRbacWorld();
  rbac[Symbol.dispose]();
  await storage.create(getStorageKey("clusterrolebindings", binding), binding);
  assert.equal(rbac.objects().clusterRoleBindings.length, 0);
});

const node = testUser("system:node:n1", "system:nodes", "system:authenticated");
const csrs = { apiGroup: "certificates.k8s.io", resource: "certificatesigningrequests" };
const leases = { apiGroup: "coordination.k8s.io", resource: "leases", namespace: "kube-node-lease" };
const slices = { apiGroup: "resource.k8s.io", resource: "resourceslices" };
const onNode = (value: string) => [{ field: "spec.nodeName", operator: "=", value } as const];
const csiNodes = { apiGroup: "storage.k8s.io", resource: "csinodes" };

const nodes = { resource: "nodes" };
const pod = { resource: "pods", name: "p", namespace: "a" };
const account = { resource: "serviceaccounts", name: "s", namespace: "a" };
const unrelated = "no relationship found between node 'n1' and this object";

const podRequests = { apiGroup: "certificates.k8s.io", resource: "podcertificaterequests", namespace: "team" };

/** A store with one request for a pod of this node and one for a pod of another node. */
const storage: Pick<Storage, "get"> = {
  get(key) {
    const nodes: Readonly<Record<string, string>> = { own: "n1", other: "n2" };
    const nodeName = nodes[key.replace("/registry/podcertificaterequests/team/", "")];
    if (nodeName === undefined) return Promise.resolve(undefined);
    const object = { metadata: {}, spec: { nodeName } } as KubeObject;
    return Promise.resolve({ key, revision: 1, object, bytes: new Uint8Array(), size: 0 });
  },
};

const cases: readonly { name: string; request: Partial<ResourceAttributes>; want: true | string }[] = [
  { name: "creates CSRs", request: { ...csrs, verb: "create" }, want: true },
  { name: "watches CSRs", request: { ...csrs, verb: "watch", name: "csr-1" }, want: true },
  { name: "deletes CSRs", request: { ...csrs, verb: "delete", name: "x" }, want: "" },
  { name: "approves", request: { ...csrs, subresource: "approval", verb: "update", name: "x" }, want: "" },
  {
    name: "requests self-approval",
    request: { ...csrs, subresource: "selfnodeclient", verb: "create" },
    want: "",
  },
  { name: "creates its node", request: { resource: "nodes", verb: "create" }, want: true },
  { name: "reads its node", request: { resource: "nodes", name: "n1" }, want: true },
  { name: "watches its node", request: { resource: "nodes", verb: "watch", name: "n1" }, want: true },
  {
    name: "reads another node",
    request: { resource: "nodes", name: "n2" },
    want: "node 'n1' cannot read 'n2', only its own Node object",
  },
  {
    name: "lists nodes",
    request: { resource: "nodes", verb: "list" },
    want: "node 'n1' cannot read all nodes, only its own Node object",
  },
  { name: "deletes a node", request: { resource: "nodes", verb: "delete", name: "n1" }, want: "" },
  {
    name: "writes a node's status",
    request: { resource: "nodes", subresource: "status", verb: "patch", name: "n1" },
    want: true,
  },
  { name: "reads a node's status", request: { resource: "nodes", subresource: "status", name: "n1" }, want: "" },
  { name: "proxies to a node", request: { resource: "nodes", subresource: "proxy", name: "n1" }, want: "" },
  { name: "creates its lease", request: { ...leases, verb: "create" }, want: true },
  { name: "renews its lease", request: { ...leases, verb: "update", name: "n1" }, want: true },
  {
    name: "renews another lease",
    request: { ...leases, verb: "update", name: "n2" },
    want: "can only access node lease with the same name as the requesting node",
  },
  {
    name: "writes a lease in another namespace",
    request: { ...leases, verb: "update", name: "n1", namespace: "kube-system" },
    want: 'can only access leases in the "kube-node-lease" system namespace',
  },
  {
    name: "lists leases",
    request: { ...leases, verb: "list" },
    want: "can only get, create, update, patch, or delete a node lease",
  },
  { name: "reads its CSINode", request: { ...csiNodes, name: "n1" }, want: true },
  {
    name: "reads another CSINode",
    request: { ...csiNodes, name: "n2" },
    want: "can only access CSINode with the same name as the requesting node",
  },
  { name: "writes events", request: { resource: "events", verb: "create", namespace: "default" }, want: true },
  {
    name: "reads a secret",
    request: { resource: "secrets", name: "s", namespace: "a" },
    want: unrelated,
  },
  {
    name: "lists secrets",
    request: { resource: "secrets", verb: "list", namespace: "a" },
    want: "No Object name found",
  },
  {
    name: "lists all secrets",
    request: { resource: "secrets", verb: "list" },
    want: "can only read namespaced object of this type",
  },
  {
    name: "writes a configmap",
    request: { resource: "configmaps", verb: "update", name: "c", namespace: "a" },
    want: "can only read resources of this type",
  },
  {
    name: "creates a token",
    request: { resource: "serviceaccounts", subresource: "token", verb: "create", name: "s", namespace: "a" },
    want: unrelated,
  },
  { name: "creates a mirror pod", request: { resource: "pods", verb: "create", namespace: "a" }, want: true },
  {
    name: "writes a pod's status",
    request: { resource: "pods", subresource: "status", verb: "patch", name: "p", namespace: "a" },
    want: true,
  },
  {
    name: "lists pods",
    request: { resource: "pods", verb: "list" },
    want: "can only list/watch pods with spec.nodeName field selector",
  },
  { name: "lists its pods", request: { resource: "pods", verb: "list", fieldSelector: onNode("n1") }, want: true },
  {
    name: "watches the pods of another node",
    request: { resource: "pods", verb: "watch", fieldSelector: onNode("n2") },
    want: "can only list/watch pods with spec.nodeName field selector",
  },
  { name: "patches a pod", request: { resource: "pods", verb: "patch", name: "p", namespace: "a" }, want: "" },
  {
    name: "lists claims",
    request: { resource: "persistentvolumeclaims", verb: "list", namespace: "a" },
    want: "can only get individual resources of this type",
  },
  {
    name: "reads a claim's status",
    request: { resource: "persistentvolumeclaims", subresource: "status", name: "c", namespace: "a" },
    want: "can only get/update/patch this type",
  },
  { name: "lists its resource slices", request: { ...slices, verb: "list", fieldSelector: onNode("n1") }, want: true },
  {
    name: "lists resource slices",
    request: { ...slices, verb: "list" },
    want: "can only list/watch/deletecollection resourceslices with nodeName field selector",
  },
  {
    name: "deletes pod certificate requests",
    request: { ...podRequests, verb: "delete", name: "own" },
    want: "nodes may not delete podcertificaterequests",
  },
  { name: "requests a certificate for a pod", request: { ...podRequests, verb: "create" }, want: true },
  { name: "reads the request of its pod", request: { ...podRequests, name: "own" }, want: true },
  {
    name: "reads the request of another node's pod",
    request: { ...podRequests, name: "other" },
    want: unrelated,
  },
  {
    name: "reads a missing request for a pod",
    request: { ...podRequests, name: "missing" },
    want: unrelated,
  },
  {
    name: "reads the status of a request for a pod",
    request: { ...podRequests, subresource: "status", name: "own" },
    want: "nodes may not access the status subresource of PodCertificateRequests",
  },
  {
    name: "watches the requests of its pods",
    request: { ...podRequests, verb: "watch", fieldSelector: onNode("n1") },
    want: true,
  },
  ...["list", "watch"].map((verb) => ({
    name: `${verb}s the requests of the pods of all other nodes`,
    request: {
      ...podRequests,
      verb,
      fieldSelector: [{ field: "spec.nodeName", operator: "!=", value: "n1" } as const],
    },
    want: "can only list/watch podcertificaterequests with nodeName field selector",
  })),
  {
    name: "lists the requests of another node's pods",
    request: { ...podRequests, verb: "list", fieldSelector: onNode("n2") },
    want: "can only list/watch podcertificaterequests with nodeName field selector",
  },
  {
    name: "updates a node's status",
    request: { ...nodes, subresource: "status", verb: "update", name: "n1" },
    want: true,
  },
  { name: "creates a CSINode", request: { ...csiNodes, verb: "create" }, want: true },
  {
    name: "reads the status of its CSINode",
    request: { ...csiNodes, subresource: "status", name: "n1" },
    want: "CSINode status access requires CSIVolumeHealth feature",
  },
  {
    name: "reads another subresource of its CSINode",
    request: { ...csiNodes, subresource: "other", name: "n1" },
    want: "cannot authorize CSINode subresources",
  },
  {
    name: "lists CSINodes",
    request: { ...csiNodes, verb: "list" },
    want: "can only get, create, update, patch, or delete a CSINode",
  },
  { name: "updates a pod's status", request: { ...pod, subresource: "status", verb: "update" }, want: true },
  { name: "reads a pod's status", request: { ...pod, subresource: "status" }, want: "" },
  { name: "evicts a pod", request: { ...pod, subresource: "eviction", verb: "create" }, want: true },
  { name: "reads an eviction", request: { ...pod, subresource: "eviction" }, want: "" },
  { name: "opens a shell in a pod", request: { ...pod, subresource: "exec", verb: "create" }, want: "" },
  { name: "deletes a pod", request: { ...pod, verb: "delete" }, want: true },
  { name: "reads a pod", request: pod, want: unrelated },
  { name: "watches a pod by its name", request: { ...pod, verb: "watch" }, want: unrelated },
  {
    name: "creates a token for an account without a name",
    request: { ...account, subresource: "token", verb: "create", name: "" },
    want: "can only create tokens for individual service accounts",
  },
  {
    name: "updates an account",
    request: { ...account, verb: "update" },
    want: "can only create tokens for individual service accounts",
  },
  {
    name: "creates another subresource of an account",
    request: { ...account, subresource: "other", verb: "create" },
    want: "can only create token subresource of serviceaccount",
  },
  { name: "reads an account", request: account, want: unrelated },
  {
    name: "reads the token of an account",
    request: { ...account, subresource: "token" },
    want: "can only create tokens for individual service accounts",
  },
  {
    name: "lists accounts",
    request: { ...account, verb: "list", name: "" },
    want: "can only create tokens for individual service accounts",
  },
  {
    name: "reads a subresource of a secret",
    request: { resource: "secrets", subresource: "other", name: "s", namespace: "a" },
    want: "cannot read subresource",
  },
  {
    name: "reads a claim",
    request: { resource: "persistentvolumeclaims", name: "c", namespace: "a" },
    want: unrelated,
  },
  {
    name: "reads a subresource of a volume",
    request: { resource: "persistentvolumes", subresource: "other", name: "v" },
    want: "cannot get subresource",
  },
  ...["update", "patch"].map((verb) => ({
    name: `${verb} of a claim's status`,
    request: { resource: "persistentvolumeclaims", subresource: "status", verb, name: "c", namespace: "a" },
    want: unrelated,
  })),
  { name: "creates a resource slice", request: { ...slices, verb: "create" }, want: true },
  ...["get", "update", "patch", "delete"].map((verb) => ({
    name: `${verb} of a resource slice`,
    request: { ...slices, verb, name: "s" },
    want: unrelated,
  })),
  ...["watch", "deletecollection"].map((verb) => ({
    name: `${verb} of its resource slices`,
    request: { ...slices, verb, fieldSelector: onNode("n1") },
    want: true as const,
  })),
  {
    name: "reads a subresource of a resource slice",
    request: { ...slices, subresource: "status", name: "s" },
    want: "cannot authorize ResourceSlice subresources",
  },
  {
    name: "writes roles",
    request: { apiGroup: "rbac.authorization.k8s.io", resource: "clusterroles", verb: "create" },
    want: "",
  },
];

for (const { name, request, want } of cases) {
  test(`authorizeNode() ${want === true ? "lets a node" : "does not let a node"}: ${name}`, async () => {
    assert.deepEqual(
      await authorizeNode(node, resourceRequest(request), storage),
      want === true ? { kind: "allow", reason: "" } : { kind: "noOpinion", reason: want },
    );
  });
}

for (
  const { name, user, reason } of [
    { name: "the name without the group", user: testUser("system:node:n1"), reason: "" },
    { name: "the group without the name", user: testUser("n1", "system:nodes"), reason: "" },
    {
      name: "no node name",
      user: testUser("system:node:", "system:nodes"),
      reason: 'unknown node for user "system:node:"',
    },
  ]
) {
  test(`authorizeNode() has no opinion on users that are not nodes: ${name}`, async () => {
    const request: Attributes = resourceRequest({ ...csrs, verb: "create" });
    assert.deepEqual(await authorizeNode(user, request, storage), { kind: "noOpinion", reason });
  });
}

test("authorizeNode() has no opinion on paths", async () => {
  assert.equal((await authorizeNode(node, pathRequest("/healthz"), storage)).kind, "noOpinion");
});
