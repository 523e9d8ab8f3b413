import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attributes } from "./attributes.ts";
import { pathRequest, rbacObjects, resourceRequest, testUser } from "../../tests/support/test_rbac.ts";
import { planAggregation, planReconcile } from "./reconcile.ts";
import { createDefaultRbac } from "./default_roles.ts";
import { evaluateRbac } from "./evaluate.ts";

const defaults = createDefaultRbac();
const objects = rbacObjects(defaults);
const all = [...defaults.clusterRoles, ...defaults.clusterRoleBindings, ...defaults.roles, ...defaults.roleBindings];

const csrs = { apiGroup: "certificates.k8s.io", resource: "certificatesigningrequests" };
const anybody = testUser("u", "system:authenticated");
const anonymous = testUser("system:anonymous", "system:unauthenticated");
const bootstrapper = testUser("system:bootstrap:abcdef", "system:bootstrappers", "system:authenticated");
const controller = testUser("system:serviceaccount:kube-system:certificate-controller", "system:serviceaccounts");
const admin = testUser("root", "system:masters");

const cases: readonly { name: string; user: ReturnType<typeof testUser>; request: Attributes; want: boolean }[] = [
  { name: "anonymous read /healthz", user: anonymous, request: pathRequest("/healthz"), want: true },
  { name: "anonymous read /version", user: anonymous, request: pathRequest("/version"), want: true },
  { name: "anonymous discover APIs", user: anonymous, request: pathRequest("/api"), want: false },
  { name: "every user discover APIs", user: anybody, request: pathRequest("/apis/certificates.k8s.io/v1"), want: true },
  { name: "an ordinary user read metrics", user: anybody, request: pathRequest("/metrics"), want: false },
  {
    name: "every user review their own permissions",
    user: anybody,
    request: resourceRequest({
      verb: "create",
      apiGroup: "authorization.k8s.io",
      resource: "selfsubjectaccessreviews",
    }),
    want: true,
  },
  {
    name: "bootstrap users create requests by default",
    user: bootstrapper,
    request: resourceRequest({ ...csrs, verb: "create" }),
    want: false,
  },
  {
    name: "the certificate controller sign for kubelets",
    user: controller,
    request: resourceRequest({ ...csrs, resource: "signers", verb: "sign", name: "kubernetes.io/kubelet-serving" }),
    want: true,
  },
  {
    name: "the certificate controller sign for other signers",
    user: controller,
    request: resourceRequest({ ...csrs, resource: "signers", verb: "sign", name: "example.com/a" }),
    want: false,
  },
  {
    name: "the certificate controller write certificates",
    user: controller,
    request: resourceRequest({ ...csrs, subresource: "status", verb: "update", name: "x" }),
    want: true,
  },
  {
    name: "masters do everything",
    user: admin,
    request: resourceRequest({ verb: "delete", resource: "x" }),
    want: true,
  },
  {
    name: "the controller manager elect a leader",
    user: testUser("system:kube-controller-manager"),
    request: resourceRequest({
      verb: "update",
      apiGroup: "coordination.k8s.io",
      resource: "leases",
      name: "any",
      namespace: "kube-system",
    }),
    want: true,
  },
];

for (const { name, user, request, want } of cases) {
  test(`createDefaultRbac() ${want ? "lets" : "does not let"} ${name}`, () => {
    assert.equal(evaluateRbac(user, request, objects).kind, want ? "allow" : "noOpinion");
  });
}

test("createDefaultRbac() marks every object as upstream marks its own", () => {
  for (const { metadata } of all) {
    assert.equal(metadata.labels?.["kubernetes.io/bootstrapping"], "rbac-defaults");
    assert.equal(metadata.annotations?.["rbac.authorization.kubernetes.io/autoupdate"], "true");
  }
});

test("createDefaultRbac() binds only roles that exist", () => {
  for (const { roleRef } of defaults.clusterRoleBindings) {
    assert.ok(objects.clusterRoles.has(roleRef.name), roleRef.name);
  }
  for (const { roleRef, metadata } of defaults.roleBindings) {
    assert.ok(objects.roles.has(`${metadata.namespace}/${roleRef.name}`), roleRef.name);
  }
});

test("createDefaultRbac() binds no subject to the roles that admit machines", () => {
  const bound = defaults.clusterRoleBindings.map(({ roleRef }) => roleRef.name);
  for (const name of objects.clusterRoles.keys()) {
    if (/bootstrapper|nodeclient|approver/.test(name)) assert.ok(!bound.includes(name), name);
  }
  const node = defaults.clusterRoleBindings.find(({ metadata }) => metadata.name === "system:node");
  assert.equal(node?.subjects, undefined);
});

test("createDefaultRbac() leaves admin, edit and view to the aggregation controller", () => {
  const names = ["admin", "edit", "view"];
  assert.deepEqual(names.map((name) => objects.clusterRoles.get(name)?.rules), [null, null, null]);
  const filled = new Map(planAggregation(defaults.clusterRoles).map((role) => [role.metadata.name, role]));
  assert.deepEqual(names.map((name) => filled.get(name)?.rules?.length), [29, 27, 12]);
});

test("createDefaultRbac() binds every controller's service account to the controller's role", () => {
  const controllers = [...objects.clusterRoles.keys()].filter((name) => name.startsWith("system:controller:"));
  assert.equal(controllers.length, 41);
  for (const name of controllers) {
    const binding = defaults.clusterRoleBindings.find(({ metadata }) => metadata.name === name);
    const account = name.slice("system:controller:".length);
    assert.deepEqual(binding?.subjects, [{ kind: "ServiceAccount", name: account, namespace: "kube-system" }]);
  }
});

test("planReconcile() does not change any default object", () => {
  for (const object of all) assert.equal(planReconcile(object, object).kind, "none", object.metadata.name);
});
