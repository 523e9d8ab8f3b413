/** No user impersonates another or grants permissions without authorization (`pkg/registry/rbac`, `impersonation`). */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { buildCsr } from "../support/csr_builder.ts";
import { MASTERS } from "../support/privilege/identities.ts";
import { certified, CSRS, describeTestedInstance, MERGE, RBAC } from "../support/privilege/tested_instance.ts";

const unprivileged = certified("unprivileged");
const asBob = certified("may-be-bob");
const editor = certified("editor");
const binder = certified("binder");
const escalator = certified("escalator");
const node = certified("system:node:n1", "system:nodes");
const impersonator = certified("impersonator");

const ROLES = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"];
const API_GROUP = "rbac.authorization.k8s.io";
const HELD = { apiGroups: [""], resources: ["configmaps"], verbs: ["get"] };
const EVERYTHING = [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }];

function createBinding(name: string, role: string): object {
  return {
    metadata: { name },
    roleRef: { apiGroup: API_GROUP, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup: API_GROUP, kind: "User", name: "mallory" }],
  };
}

function createRole(name: string, rules: readonly object[], labels: object = {}): object {
  return { metadata: { name, labels }, rules };
}

const roles = `${RBAC}/clusterroles`;
const bindings = `${RBAC}/clusterrolebindings`;

describeTestedInstance(
  "permissions of other users",
  [unprivileged, asBob, editor, binder, escalator, node, impersonator],
  (instance) => {
    before(async () => {
      const csrs = { apiGroups: ["certificates.k8s.io"], resources: ["certificatesigningrequests"] };
      await instance.grant("bob", { ...csrs, verbs: ["create", "get"] });
      await instance.grant("may-be-bob", {
        apiGroups: [""],
        resources: ["users"],
        resourceNames: ["bob"],
        verbs: ["impersonate"],
      });
      await instance.grant("impersonator", { apiGroups: [""], resources: ["users"], verbs: ["impersonate"] });
      const editing = { apiGroups: [API_GROUP], resources: ROLES, verbs: ["create", "update", "patch", "get"] };
      await instance.grant("editor", editing, HELD);
      await instance.grant("binder", editing, {
        apiGroups: [API_GROUP],
        resources: ["clusterroles"],
        resourceNames: ["view"],
        verbs: ["bind"],
      });
      await instance.grant("escalator", editing, {
        apiGroups: [API_GROUP],
        resources: ["clusterroles"],
        verbs: ["escalate"],
      });
      await instance.admin("POST", roles, createRole("all", EVERYTHING));
      await instance.admin("POST", roles, createRole("small", [HELD]));
      await instance.admin("POST", `${RBAC}/namespaces/default/rolebindings`, createBinding("small", "small"));
    });

    const bob = { "impersonate-user": "bob" };
    for (
      const { name, who, headers } of [
        { name: "a user without the permission", who: unprivileged, headers: bob },
        { name: "a node", who: node, headers: bob },
        { name: "another user than the permitted one", who: asBob, headers: { "impersonate-user": "root" } },
        {
          name: "the permitted user with a group",
          who: asBob,
          headers: { ...bob, "impersonate-group": "system:masters" },
        },
        { name: "the permitted user with a uid", who: asBob, headers: { ...bob, "impersonate-uid": "1" } },
        { name: "the permitted user with an extra", who: asBob, headers: { ...bob, "impersonate-extra-scopes": "a" } },
        {
          name: "any user with the group system:masters",
          who: impersonator,
          headers: { "impersonate-user": "x", "impersonate-group": "system:masters" },
        },
        {
          name: "a service account with a permission for users only",
          who: impersonator,
          headers: { "impersonate-user": "system:serviceaccount:kube-system:certificate-controller" },
        },
      ]
    ) {
      test(`impersonation of ${name} is refused`, async () => {
        const reply = await instance.as(who, "GET", `${CSRS}/none`, undefined, { headers });
        assert.equal(reply.code, 403, reply.text);
        assert.match(reply.message, /cannot impersonate/);
      });
    }

    test("impersonation makes the impersonated user the requester, without the impersonator's permissions", async () => {
      const headers = bob;
      const none = await instance.as(asBob, "GET", `${CSRS}/none`, undefined, { headers });
      assert.equal(none.code, 404, none.text);
      const reply = await instance.as(asBob, "POST", CSRS, await buildCsr({ name: "of-bob" }), { headers });
      assert.equal(reply.code, 201, reply.text);
      assert.equal(reply.at("spec/username"), "bob");
      const root = await instance.as(MASTERS, "GET", "/api/v1/secrets", undefined, { headers });
      assert.equal(root.code, 403, "an administrator who impersonates bob has bob's permissions");
    });

    const users = (name: string) => ({ subjects: [{ apiGroup: API_GROUP, kind: "User", name }] });
    for (
      const { who, name, path, body } of [
        { who: editor, name: "a ClusterRole with all permissions", path: roles, body: createRole("e1", EVERYTHING) },
        {
          who: editor,
          name: "a ClusterRole for paths",
          path: roles,
          body: createRole("e3", [{ nonResourceURLs: ["*"], verbs: ["get"] }]),
        },
        {
          who: editor,
          name: "an aggregated part of admin",
          path: roles,
          body: createRole("e4", EVERYTHING, { "rbac.authorization.k8s.io/aggregate-to-admin": "true" }),
        },
        {
          who: editor,
          name: "a ClusterRole that aggregates others",
          path: roles,
          body: { ...createRole("e5", []), aggregationRule: { clusterRoleSelectors: [{}] } },
        },
        { who: editor, name: "additions to their own role", path: `${roles}/test:editor`, body: { rules: EVERYTHING } },
        {
          who: editor,
          name: "a Role with all permissions",
          path: `${RBAC}/namespaces/default/roles`,
          body: createRole("e", EVERYTHING),
        },
        { who: editor, name: "a binding of cluster-admin", path: bindings, body: createBinding("e", "cluster-admin") },
        {
          who: editor,
          name: "a binding of a role with all permissions",
          path: `${RBAC}/namespaces/default/rolebindings`,
          body: createBinding("e", "all"),
        },
        {
          who: editor,
          name: "cluster-admin by adding themselves to its binding",
          path: `${bindings}/cluster-admin`,
          body: users("editor"),
        },
        {
          who: editor,
          name: "another role by changing a binding",
          path: `${RBAC}/namespaces/default/rolebindings/small`,
          body: { roleRef: { apiGroup: API_GROUP, kind: "ClusterRole", name: "all" } },
        },
        {
          who: binder,
          name: "cluster-admin by bind on view",
          path: bindings,
          body: createBinding("b2", "cluster-admin"),
        },
        { who: binder, name: "all permissions by bind on view", path: roles, body: createRole("b3", EVERYTHING) },
        {
          who: escalator,
          name: "a binding of all permissions by escalate",
          path: bindings,
          body: createBinding("x2", "all"),
        },
      ]
    ) {
      test(`${who.name} may not grant ${name}`, async () => {
        const isNew = "metadata" in body;
        const reply = await instance.as(who, isNew ? "POST" : "PATCH", path, body, isNew ? {} : MERGE);
        assert.equal(reply.code, 403, reply.text);
        assert.match(
          reply.message,
          /attempting to grant RBAC permissions not currently held|aggregationRule|must have cluster-admin/,
        );
      });
    }

    for (
      const { who, name, path, body } of [
        { who: editor, name: "a ClusterRole with held permissions", path: roles, body: createRole("e2", [HELD]) },
        { who: editor, name: "a binding of held permissions", path: bindings, body: createBinding("e-small", "small") },
        { who: binder, name: "view, by bind on it", path: bindings, body: createBinding("b1", "view") },
        { who: escalator, name: "all permissions, by escalate", path: roles, body: createRole("x1", EVERYTHING) },
      ]
    ) {
      test(`${who.name} may grant ${name}`, async () => {
        const reply = await instance.as(who, "POST", path, body);
        assert.equal(reply.code, 201, reply.text);
      });
    }

    test("a role whose grant was refused gives no permission", async () => {
      const secrets = await instance.as(editor, "GET", "/api/v1/namespaces/kube-system/secrets");
      assert.equal(secrets.code, 403);
    });
  },
);
