/** No user becomes another one, or grants permissions without having them (`pkg/registry/rbac`, apiserver `impersonation`). */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { buildCsr } from "../support/csr_builder.ts";
import { MASTERS } from "../support/privilege/identities.ts";
import { certified, CSRS, describeJudgedInstance, MERGE, RBAC } from "../support/privilege/judged_instance.ts";

const unprivileged = certified("unprivileged");
const asBob = certified("may-be-bob");
const editor = certified("editor");
const binder = certified("binder");
const escalator = certified("escalator");
const node = certified("system:node:n1", "system:nodes");
const impersonator = certified("impersonator");

const ROLES = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"];
const API_GROUP = "rbac.authorization.k8s.io";
const EVERYTHING = [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }];

function createBinding(name: string, role: string): object {
  return {
    metadata: { name },
    roleRef: { apiGroup: API_GROUP, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup: API_GROUP, kind: "User", name: "mallory" }],
  };
}

const cluster = `${RBAC}/clusterroles`;

describeJudgedInstance(
  "permissions of others",
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
      const roles = { apiGroups: [API_GROUP], resources: ROLES, verbs: ["create", "update", "patch", "get"] };
      const held = { apiGroups: [""], resources: ["configmaps"], verbs: ["get"] };
      await instance.grant("editor", roles, held);
      await instance.grant("binder", roles, {
        apiGroups: [API_GROUP],
        resources: ["clusterroles"],
        resourceNames: ["view"],
        verbs: ["bind"],
      });
      await instance.grant("escalator", roles, {
        apiGroups: [API_GROUP],
        resources: ["clusterroles"],
        verbs: ["escalate"],
      });
      await instance.admin("POST", `${RBAC}/clusterroles`, { metadata: { name: "all" }, rules: EVERYTHING });
      await instance.admin("POST", `${RBAC}/clusterroles`, { metadata: { name: "small" }, rules: [held] });
      await instance.admin("POST", `${RBAC}/namespaces/default/rolebindings`, createBinding("small", "small"));
    });

    for (
      const { name, who, headers, code, message } of [
        {
          name: "a user without the permission",
          who: unprivileged,
          headers: { "impersonate-user": "bob" },
          code: 403,
          message: /cannot impersonate/,
        },
        { name: "a node", who: node, headers: { "impersonate-user": "bob" }, code: 403, message: /cannot impersonate/ },
        {
          name: "another than the permitted one",
          who: asBob,
          headers: { "impersonate-user": "root" },
          code: 403,
          message: /cannot impersonate/,
        },
        {
          name: "the permitted one with a group",
          who: asBob,
          headers: { "impersonate-user": "bob", "impersonate-group": "system:masters" },
          code: 403,
          message: /cannot impersonate/,
        },
        {
          name: "any user with the group system:masters",
          who: impersonator,
          headers: { "impersonate-user": "x", "impersonate-group": "system:masters" },
          code: 403,
          message: /cannot impersonate/,
        },
        {
          name: "the permitted one with a uid",
          who: asBob,
          headers: { "impersonate-user": "bob", "impersonate-uid": "1" },
          code: 403,
          message: /cannot impersonate/,
        },
        {
          name: "the permitted one with an extra",
          who: asBob,
          headers: { "impersonate-user": "bob", "impersonate-extra-scopes": "a" },
          code: 403,
          message: /cannot impersonate/,
        },
        {
          name: "a service account by a right on users alone",
          who: impersonator,
          headers: { "impersonate-user": "system:serviceaccount:kube-system:certificate-controller" },
          code: 403,
          message: /cannot impersonate/,
        },
        {
          name: "the permitted one",
          who: asBob,
          headers: { "impersonate-user": "bob" },
          code: 404,
          message: /not found/,
        },
      ]
    ) {
      test(`impersonation of ${name} ends in ${code}`, async () => {
        const reply = await instance.as(who, "GET", `${CSRS}/none`, undefined, { headers });
        assert.equal(reply.code, code, reply.text);
        assert.match(reply.message, message);
      });
    }

    test("impersonation makes the impersonated user the requester, without the impersonator's permissions", async () => {
      const headers = { "impersonate-user": "bob" };
      const reply = await instance.as(asBob, "POST", CSRS, await buildCsr({ name: "of-bob" }), { headers });
      assert.equal(reply.code, 201, reply.text);
      assert.equal(reply.at("spec/username"), "bob");
      const root = await instance.as(MASTERS, "GET", "/api/v1/secrets", undefined, { headers });
      assert.equal(root.code, 403, "an administrator who impersonates bob has bob's permissions");
    });
    for (
      const { name, who, method, path, body, code } of [
        {
          name: "a ClusterRole of everything",
          who: editor,
          method: "POST",
          path: cluster,
          body: { metadata: { name: "e1" }, rules: EVERYTHING },
          code: 403,
        },
        {
          name: "a ClusterRole of held rights",
          who: editor,
          method: "POST",
          path: cluster,
          body: { metadata: { name: "e2" }, rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get"] }] },
          code: 201,
        },
        {
          name: "a ClusterRole of paths",
          who: editor,
          method: "POST",
          path: cluster,
          body: { metadata: { name: "e3" }, rules: [{ nonResourceURLs: ["*"], verbs: ["get"] }] },
          code: 403,
        },
        {
          name: "a part of admin",
          who: editor,
          method: "POST",
          path: cluster,
          body: {
            metadata: { name: "e4", labels: { "rbac.authorization.k8s.io/aggregate-to-admin": "true" } },
            rules: EVERYTHING,
          },
          code: 403,
        },
        {
          name: "a ClusterRole that gathers others",
          who: editor,
          method: "POST",
          path: cluster,
          body: { metadata: { name: "e5" }, rules: [], aggregationRule: { clusterRoleSelectors: [{}] } },
          code: 403,
        },
        {
          name: "more in their own role",
          who: editor,
          method: "PATCH",
          path: `${cluster}/test:editor`,
          body: { rules: EVERYTHING },
          code: 403,
        },
        {
          name: "a Role of everything",
          who: editor,
          method: "POST",
          path: `${RBAC}/namespaces/default/roles`,
          body: { metadata: { name: "e" }, rules: EVERYTHING },
          code: 403,
        },
        {
          name: "a binding of cluster-admin",
          who: editor,
          method: "POST",
          path: `${RBAC}/clusterrolebindings`,
          body: createBinding("e", "cluster-admin"),
          code: 403,
        },
        {
          name: "a binding of a role that is everything",
          who: editor,
          method: "POST",
          path: `${RBAC}/namespaces/default/rolebindings`,
          body: createBinding("e", "all"),
          code: 403,
        },
        {
          name: "a binding of held rights",
          who: editor,
          method: "POST",
          path: `${RBAC}/clusterrolebindings`,
          body: createBinding("e-small", "small"),
          code: 201,
        },
        {
          name: "themselves into a binding of cluster-admin",
          who: editor,
          method: "PATCH",
          path: `${RBAC}/clusterrolebindings/cluster-admin`,
          body: { subjects: [{ apiGroup: API_GROUP, kind: "User", name: "editor" }] },
          code: 403,
        },
        {
          name: "another role behind a binding",
          who: editor,
          method: "PATCH",
          path: `${RBAC}/namespaces/default/rolebindings/small`,
          body: { roleRef: { apiGroup: API_GROUP, kind: "ClusterRole", name: "all" } },
          code: 403,
        },
        {
          name: "view, by bind on it",
          who: binder,
          method: "POST",
          path: `${RBAC}/clusterrolebindings`,
          body: createBinding("b1", "view"),
          code: 201,
        },
        {
          name: "cluster-admin, by bind on view",
          who: binder,
          method: "POST",
          path: `${RBAC}/clusterrolebindings`,
          body: createBinding("b2", "cluster-admin"),
          code: 403,
        },
        {
          name: "a role of everything, by bind on view",
          who: binder,
          method: "POST",
          path: cluster,
          body: { metadata: { name: "b3" }, rules: EVERYTHING },
          code: 403,
        },
        {
          name: "a role of everything, by escalate",
          who: escalator,
          method: "POST",
          path: cluster,
          body: { metadata: { name: "x1" }, rules: EVERYTHING },
          code: 201,
        },
        {
          name: "a binding of everything, by escalate",
          who: escalator,
          method: "POST",
          path: `${RBAC}/clusterrolebindings`,
          body: createBinding("x2", "all"),
          code: 403,
        },
      ]
    ) {
      test(`${who.name} granting ${name} gets ${code}`, async () => {
        const reply = await instance.as(who, method, path, body, method === "PATCH" ? MERGE : {});
        assert.equal(reply.code, code, reply.text);
        if (code === 403) {
          assert.match(
            reply.message,
            /attempting to grant RBAC permissions not currently held|aggregationRule|must have cluster-admin/,
          );
        }
      });
    }

    test("a role whose grant was refused gives no permission", async () => {
      const secrets = await instance.as(editor, "GET", "/api/v1/namespaces/kube-system/secrets");
      assert.equal(secrets.code, 403);
    });
  },
);
