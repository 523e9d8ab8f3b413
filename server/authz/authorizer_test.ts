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
import { createRbacWorld, getStorageKey } from "../../tests/support/test_authz.ts";
import { createLossyStorage } from "../../tests/support/lossy_storage.ts";
import { createDeniedError } from "./authorizer.ts";
import { createRbacSource } from "./rbac_source.ts";

const getPods = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const binding = clusterRoleBinding("b", "reader", groupSubject("g"));
const user = testUser("u", "g");

const formatNames = (objects: readonly KubeObject[] = []) => objects.map(({ metadata }) => metadata.name).join("");

test("createAuthorizer() lets system:masters do everything, whatever is bound", async () => {
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

test("createRbacSource() reads what is stored before it and after it, and groups bindings by namespace in order", async () => {
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

test("createRbacSource() reads everything again when its watch is lost, and forgets what is gone", async () => {
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
