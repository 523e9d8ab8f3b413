import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clusterRole,
  clusterRoleBinding,
  groupSubject,
  pathRequest,
  rbacObjects,
  resourceRequest,
  role,
  roleBinding,
  testUser,
  userSubject,
} from "../../tests/support/test_rbac.ts";
import { createRulesReview, describeMissingRoles, evaluateRbac, findRoleRules, ruleAllows } from "./evaluate.ts";
import type { PolicyRule } from "../kube/kinds/rbac_v1.ts";
import type { Attributes } from "./attributes.ts";

const getPods = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const reader = clusterRole("reader", [getPods]);

test("evaluateRbac() allows by a cluster-wide binding and names it", () => {
  const objects = rbacObjects({
    clusterRoles: [reader],
    clusterRoleBindings: [clusterRoleBinding("b", "reader", groupSubject("other"), groupSubject("g"))],
  });
  assert.deepEqual(evaluateRbac(testUser("u", "g"), resourceRequest({ namespace: "any" }), objects), {
    kind: "allow",
    reason: 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to Group "g"',
  });
});

test("evaluateRbac() allows by a binding of the namespace, in that namespace only", () => {
  const objects = rbacObjects({
    roles: [role("a", "reader", [getPods])],
    roleBindings: [roleBinding("a", "b", "Role", "reader", userSubject("u"))],
  });
  assert.deepEqual(evaluateRbac(testUser("u"), resourceRequest({ namespace: "a" }), objects), {
    kind: "allow",
    reason: 'RBAC: allowed by RoleBinding "b/a" of Role "reader" to User "u"',
  });
  assert.equal(evaluateRbac(testUser("u"), resourceRequest({ namespace: "b" }), objects).kind, "noOpinion");
  assert.equal(evaluateRbac(testUser("u"), resourceRequest(), objects).kind, "noOpinion");
});

test("evaluateRbac() never lets a namespaced binding allow a path", () => {
  const everything = clusterRole("all", [{ verbs: ["*"], nonResourceURLs: ["*"] }]);
  const objects = rbacObjects({
    clusterRoles: [everything],
    roleBindings: [roleBinding("a", "b", "ClusterRole", "all", userSubject("u"))],
  });
  assert.equal(evaluateRbac(testUser("u"), pathRequest("/healthz"), objects).kind, "noOpinion");
});

for (
  const { name, subject, namespace, want } of [
    { name: "its namespace given", subject: { namespace: "x" }, namespace: "", want: 'ServiceAccount "sa/x"' },
    { name: "no namespace in a cluster binding", subject: {}, namespace: "", want: undefined },
    { name: "the binding's namespace", subject: {}, namespace: "x", want: 'ServiceAccount "sa/x"' },
  ]
) {
  test(`evaluateRbac() matches a service account: ${name}`, () => {
    const account = { kind: "ServiceAccount", name: "sa", ...subject };
    const objects = rbacObjects({
      clusterRoles: [reader],
      clusterRoleBindings: namespace === "" ? [clusterRoleBinding("b", "reader", account)] : [],
      roleBindings: namespace === "" ? [] : [roleBinding(namespace, "b", "ClusterRole", "reader", account)],
    });
    const decision = evaluateRbac(testUser("system:serviceaccount:x:sa"), resourceRequest({ namespace }), objects);
    assert.equal(decision.kind, want === undefined ? "noOpinion" : "allow");
    if (want !== undefined) assert.ok(decision.reason.endsWith(`to ${want}`), decision.reason);
  });
}

test("evaluateRbac() reports missing roles once each when no rule allows", () => {
  const objects = rbacObjects({
    clusterRoleBindings: [
      clusterRoleBinding("a", "gone", userSubject("u")),
      clusterRoleBinding("b", "gone", userSubject("u")),
    ],
    roleBindings: [roleBinding("n", "c", "Role", "lost", userSubject("u"))],
  });
  assert.deepEqual(evaluateRbac(testUser("u"), resourceRequest(), objects), {
    kind: "noOpinion",
    reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
  });
  assert.equal(
    evaluateRbac(testUser("u"), resourceRequest({ namespace: "n" }), objects).reason,
    'RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, role.rbac.authorization.k8s.io "lost" not found]',
  );
});

test("evaluateRbac() reports no missing roles when another binding allows", () => {
  const objects = rbacObjects({
    clusterRoles: [reader],
    clusterRoleBindings: [
      clusterRoleBinding("a", "gone", userSubject("u")),
      clusterRoleBinding("b", "reader", userSubject("u")),
    ],
  });
  assert.equal(evaluateRbac(testUser("u"), resourceRequest(), objects).kind, "allow");
});

test("createRulesReview() lists the rules that apply, resources and paths apart, as the roles have them", () => {
  const objects = rbacObjects({
    clusterRoles: [reader, clusterRole("mixed", [{ verbs: ["get"], nonResourceURLs: ["/x"] }, getPods])],
    clusterRoleBindings: [
      clusterRoleBinding("a", "reader", groupSubject("g")),
      clusterRoleBinding("b", "gone", groupSubject("g")),
      clusterRoleBinding("c", "mixed", groupSubject("h")),
    ],
    roleBindings: [roleBinding("n", "d", "ClusterRole", "mixed", groupSubject("g"))],
  });
  assert.deepEqual(createRulesReview(testUser("u", "g"), "n", objects), {
    resourceRules: [getPods, getPods],
    nonResourceRules: [{ verbs: ["get"], nonResourceURLs: ["/x"] }],
    incomplete: false,
    evaluationError: 'clusterrole.rbac.authorization.k8s.io "gone" not found',
  });
  assert.deepEqual(createRulesReview(testUser("nobody"), "n", objects), {
    resourceRules: [],
    nonResourceRules: [],
    incomplete: false,
  });
});

test("findRoleRules() finds no rules for a roleRef of another kind", () => {
  const roleRef = { apiGroup: "", kind: "Group", name: "x" };
  assert.equal(findRoleRules(roleRef, "", rbacObjects({})), undefined);
  assert.equal(describeMissingRoles([roleRef]), 'unsupported role reference kind: "Group"');
});

test("evaluateRbac() caches the grants of a thousand users, and evicts only the oldest", () => {
  let searches = 0;
  const objects = {
    ...rbacObjects({}),
    get clusterRoleBindings() {
      searches++;
      return [];
    },
  };
  const ask = (name: string, ...groups: readonly string[]) => {
    const before = searches;
    evaluateRbac(testUser(name, ...groups), resourceRequest(), objects);
    return searches > before ? "searched" : "cached";
  };
  for (let index = 0; index < 1_000; index++) ask(`user ${index}`);
  assert.equal(ask("another user", "g".repeat(3_000)), "searched");
  assert.equal(ask("user 0"), "cached", "an entry that is not cached evicts no other");
  ask("newcomer");
  assert.deepEqual([ask("user 1"), ask("user 999"), ask("user 0")], ["cached", "cached", "searched"]);
});

const onlyGetPods: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const csrs = { apiGroup: "certificates.k8s.io", resource: "certificatesigningrequests" };

const cases: readonly { name: string; rule: PolicyRule; request: Attributes; want: boolean }[] = [
  { name: "the exact request", rule: onlyGetPods, request: resourceRequest(), want: true },
  { name: "another verb", rule: onlyGetPods, request: resourceRequest({ verb: "list" }), want: false },
  { name: "any verb", rule: { ...onlyGetPods, verbs: ["*"] }, request: resourceRequest({ verb: "sign" }), want: true },
  { name: "no verbs at all", rule: { ...onlyGetPods, verbs: null }, request: resourceRequest(), want: false },
  { name: "another group", rule: onlyGetPods, request: resourceRequest({ apiGroup: "apps" }), want: false },
  {
    name: "any group",
    rule: { ...onlyGetPods, apiGroups: ["*"] },
    request: resourceRequest({ apiGroup: "x" }),
    want: true,
  },
  { name: "a subresource", rule: onlyGetPods, request: resourceRequest({ subresource: "log" }), want: false },
  {
    name: "a named subresource",
    rule: { ...onlyGetPods, resources: ["pods/log"] },
    request: resourceRequest({ subresource: "log" }),
    want: true,
  },
  {
    name: "the resource of a subresource rule",
    rule: { ...onlyGetPods, resources: ["pods/log"] },
    request: resourceRequest(),
    want: false,
  },
  {
    name: "a subresource of everything",
    rule: { ...onlyGetPods, resources: ["*/status"] },
    request: resourceRequest({ subresource: "status" }),
    want: true,
  },
  {
    name: "another subresource of everything",
    rule: { ...onlyGetPods, resources: ["*/status"] },
    request: resourceRequest({ subresource: "log" }),
    want: false,
  },
  {
    name: "pods/* is not a supported form",
    rule: { ...onlyGetPods, resources: ["pods/*"] },
    request: resourceRequest({ subresource: "log" }),
    want: false,
  },
  {
    name: "any resource covers subresources",
    rule: { ...onlyGetPods, resources: ["*"] },
    request: resourceRequest({ subresource: "log" }),
    want: true,
  },
  {
    name: "the name",
    rule: { ...onlyGetPods, resourceNames: ["a"] },
    request: resourceRequest({ name: "a" }),
    want: true,
  },
  {
    name: "another name",
    rule: { ...onlyGetPods, resourceNames: ["a"] },
    request: resourceRequest({ name: "b" }),
    want: false,
  },
  {
    name: "a creation under a rule with names",
    rule: { ...onlyGetPods, verbs: ["create"], resourceNames: ["a"] },
    request: resourceRequest({ verb: "create" }),
    want: false,
  },
  {
    name: "a list of one name by field selector",
    rule: { ...onlyGetPods, verbs: ["list"], resourceNames: ["a"] },
    request: resourceRequest({ verb: "list", name: "a" }),
    want: true,
  },
  {
    name: "a domain name is matched literally",
    rule: { verbs: ["approve"], apiGroups: [csrs.apiGroup], resources: ["signers"], resourceNames: ["example.com/*"] },
    request: resourceRequest({ ...csrs, resource: "signers", verb: "approve", name: "example.com/a" }),
    want: false,
  },
  {
    name: "paths never decide a resource request",
    rule: { verbs: ["*"], nonResourceURLs: ["*"] },
    request: resourceRequest(),
    want: false,
  },
  {
    name: "resources never decide a path",
    rule: { ...onlyGetPods, resources: ["*"] },
    request: pathRequest("/"),
    want: false,
  },
  {
    name: "a path",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz"] },
    request: pathRequest("/healthz"),
    want: true,
  },
  {
    name: "a path below",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz"] },
    request: pathRequest("/healthz/etcd"),
    want: false,
  },
  {
    name: "a pattern",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz/*"] },
    request: pathRequest("/healthz/etcd"),
    want: true,
  },
  {
    name: "a pattern does not cover its root",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz/*"] },
    request: pathRequest("/healthz"),
    want: false,
  },
  { name: "any path", rule: { verbs: ["get"], nonResourceURLs: ["*"] }, request: pathRequest("/x"), want: true },
  {
    name: "any path, another verb",
    rule: { verbs: ["get"], nonResourceURLs: ["*"] },
    request: pathRequest("/x", "post"),
    want: false,
  },
];

for (const { name, rule, request, want } of cases) {
  test(`ruleAllows() ${want ? "allows" : "does not allow"}: ${name}`, () => {
    assert.equal(ruleAllows(request, rule), want);
  });
}
