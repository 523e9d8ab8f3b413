import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clusterRole,
  clusterRoleBinding,
  groupSubject,
  resourceRequest,
  role,
  roleBinding,
  testUser,
  userSubject,
} from "../../tests/support/test_rbac.ts";
import { createRbacWorld, getStorageKey } from "../../tests/support/test_authz.ts";

const getPods = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const binding = clusterRoleBinding("b", "reader", groupSubject("g"));
const user = testUser("u", "g");

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
