import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterRole, ClusterRoleBinding } from "../kube/kinds/rbac_v1.ts";
import { clusterRole, groupSubject, userSubject } from "../../tests/support/test_rbac.ts";
import { AUTOUPDATE_ANNOTATION } from "./default_roles.ts";
import { aggregateRules, planAggregation, planReconcile } from "./reconcile.ts";
import type { LabelSelector } from "../kube/meta.ts";

const rule = (...verbs: string[]) => ({ verbs, apiGroups: [""], resources: ["pods"] });
const role: ClusterRole = {
  metadata: { name: "r", labels: { l: "1" }, annotations: { [AUTOUPDATE_ANNOTATION]: "true" } },
  rules: [rule("get", "list")],
};
const binding: ClusterRoleBinding = {
  metadata: role.metadata,
  subjects: [groupSubject("g")],
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "r" },
};

test("planReconcile() creates missing objects", () => {
  assert.deepEqual(planReconcile(undefined, role), { kind: "create", object: role });
});

test("planReconcile() appends missing rules to the existing ones", () => {
  const existing: ClusterRole = { ...role, rules: [rule("get"), rule("delete")] };
  assert.deepEqual(planReconcile(existing, role), {
    kind: "update",
    object: { ...role, rules: [rule("get"), rule("delete"), rule("list")] },
  });
});

test("planReconcile() does not change a protected object", () => {
  const metadata = { ...role.metadata, annotations: { [AUTOUPDATE_ANNOTATION]: "false" } };
  assert.deepEqual(planReconcile({ ...role, metadata, rules: [] }, role), { kind: "none" });
});

test("planReconcile() adds missing labels, keeps changed ones, in canonical order", () => {
  const existing: ClusterRole = {
    ...role,
    metadata: { name: "r", uid: "u", labels: { z: "9" }, annotations: {}, managedFields: [] },
  };
  const plan = planReconcile(existing, { ...role, metadata: { ...role.metadata, labels: { l: "1", z: "0" } } });
  assert.equal(plan.kind, "update");
  if (plan.kind !== "update") return;
  assert.deepEqual(Object.keys(plan.object.metadata), ["name", "uid", "labels", "annotations", "managedFields"]);
  assert.deepEqual(plan.object.metadata.labels, { l: "1", z: "9" });
});

test("planReconcile() adds missing subjects before the roleRef", () => {
  const { subjects: _subjects, ...bare } = binding;
  const plan = planReconcile<ClusterRoleBinding>(bare, binding);
  assert.deepEqual(plan, { kind: "update", object: binding });
  assert.deepEqual(Object.keys(plan.kind === "update" ? plan.object : {}), ["metadata", "subjects", "roleRef"]);
  assert.deepEqual(planReconcile({ ...binding, subjects: [userSubject("x"), groupSubject("g")] }, binding), {
    kind: "none",
  });
});

test("planReconcile() replaces a binding of another role", () => {
  const existing = { ...binding, roleRef: { ...binding.roleRef, name: "other" } };
  assert.deepEqual(planReconcile(existing, binding), { kind: "recreate", object: binding });
});

test("planReconcile() adds a missing selector and leaves aggregated rules to the aggregation", () => {
  const selector = { matchLabels: { a: "1" } };
  const wanted: ClusterRole = { ...role, aggregationRule: { clusterRoleSelectors: [selector] } };
  assert.deepEqual(planReconcile({ ...wanted, rules: [] }, wanted), { kind: "none" });
  assert.deepEqual(planReconcile({ ...role, rules: [] }, wanted), {
    kind: "update",
    object: { ...wanted, rules: [] },
  });
});

const getRule = (resource: string) => ({ verbs: ["get"], apiGroups: [""], resources: [resource] });
const aggregated = (name: string, ...clusterRoleSelectors: LabelSelector[]): ClusterRole => ({
  ...clusterRole(name, [], { [`to-${name}`]: "true" }),
  aggregationRule: { clusterRoleSelectors },
});

test("aggregateRules() joins the selected roles by name, without duplicates and without itself", () => {
  const role = aggregated("sum", { matchLabels: { "to-sum": "true" } });
  const all = [
    clusterRole("b", [getRule("b"), getRule("a")], { "to-sum": "true" }),
    clusterRole("a", [getRule("a")], { "to-sum": "true" }),
    clusterRole("c", [getRule("c")], { "to-sum": "false" }),
    role,
  ];
  assert.deepEqual(aggregateRules(role, all).map(({ resources }) => resources?.[0]), ["a", "b"]);
});

for (
  const { name, selector, want } of [
    { name: "an empty selector", selector: {}, want: true },
    { name: "In", selector: { matchExpressions: [{ key: "k", operator: "In", values: ["v"] }] }, want: true },
    {
      name: "In, another value",
      selector: { matchExpressions: [{ key: "k", operator: "In", values: ["w"] }] },
      want: false,
    },
    { name: "NotIn", selector: { matchExpressions: [{ key: "k", operator: "NotIn", values: ["v"] }] }, want: false },
    {
      name: "NotIn, absent key",
      selector: { matchExpressions: [{ key: "z", operator: "NotIn", values: ["v"] }] },
      want: true,
    },
    { name: "Exists", selector: { matchExpressions: [{ key: "k", operator: "Exists" }] }, want: true },
    { name: "DoesNotExist", selector: { matchExpressions: [{ key: "k", operator: "DoesNotExist" }] }, want: false },
    {
      name: "Exists, a key that every object inherits",
      selector: { matchExpressions: [{ key: "constructor", operator: "Exists" }] },
      want: false,
    },
    {
      name: "DoesNotExist, a key that every object inherits",
      selector: { matchExpressions: [{ key: "constructor", operator: "DoesNotExist" }] },
      want: true,
    },
    { name: "an unknown operator", selector: { matchExpressions: [{ key: "k", operator: "Like" }] }, want: false },
  ]
) {
  test(`aggregateRules() ${want ? "selects" : "omits"}: ${name}`, () => {
    const role = aggregated("sum", selector);
    const rules = aggregateRules(role, [role, clusterRole("a", [getRule("a")], { k: "v" })]);
    assert.equal(rules.length, want ? 1 : 0);
  });
}

test("aggregateRules() does not change a role without aggregation", () => {
  const role = clusterRole("a", [getRule("a")]);
  assert.deepEqual(aggregateRules(role, [role, clusterRole("b", [getRule("b")])]), [getRule("a")]);
});

test("planAggregation() fills roles that aggregate aggregated roles, and ends when nothing changes", () => {
  const top = aggregated("top", { matchLabels: { "to-middle": "true" } });
  const middle = aggregated("middle", { matchLabels: { leaf: "true" } });
  const leaf = clusterRole("leaf", [getRule("x")], { leaf: "true" });
  const plan = planAggregation([top, middle, leaf]);
  assert.deepEqual(plan.map((role) => [role.metadata.name, role.rules?.length]), [["top", 1], ["middle", 1]]);
  assert.deepEqual(planAggregation([...plan, leaf]), []);
});

test("planAggregation() ends when roles select each other", () => {
  const a = aggregated("a", {});
  const b = aggregated("b", {});
  const plan = planAggregation([a, b, clusterRole("c", [getRule("c")])]);
  assert.deepEqual(plan.map(({ rules }) => rules?.length), [1, 1]);
});
