import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterRole } from "../kube/kinds/rbac_v1.ts";
import type { LabelSelector } from "../kube/meta.ts";
import { clusterRole } from "../../tests/support/test_rbac.ts";
import { aggregateRules, planAggregation } from "./aggregate.ts";

const rule = (resource: string) => ({ verbs: ["get"], apiGroups: [""], resources: [resource] });
const aggregated = (name: string, ...clusterRoleSelectors: LabelSelector[]): ClusterRole => ({
  ...clusterRole(name, [], { [`to-${name}`]: "true" }),
  aggregationRule: { clusterRoleSelectors },
});

test("aggregateRules() joins the selected roles by name, without duplicates and without itself", () => {
  const role = aggregated("sum", { matchLabels: { "to-sum": "true" } });
  const all = [
    clusterRole("b", [rule("b"), rule("a")], { "to-sum": "true" }),
    clusterRole("a", [rule("a")], { "to-sum": "true" }),
    clusterRole("c", [rule("c")], { "to-sum": "false" }),
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
    const rules = aggregateRules(role, [role, clusterRole("a", [rule("a")], { k: "v" })]);
    assert.equal(rules.length, want ? 1 : 0);
  });
}

test("aggregateRules() does not change a role without aggregation", () => {
  const role = clusterRole("a", [rule("a")]);
  assert.deepEqual(aggregateRules(role, [role, clusterRole("b", [rule("b")])]), [rule("a")]);
});

test("planAggregation() fills roles that aggregate aggregated roles, and ends when nothing changes", () => {
  const top = aggregated("top", { matchLabels: { "to-middle": "true" } });
  const middle = aggregated("middle", { matchLabels: { leaf: "true" } });
  const leaf = clusterRole("leaf", [rule("x")], { leaf: "true" });
  const plan = planAggregation([top, middle, leaf]);
  assert.deepEqual(plan.map((role) => [role.metadata.name, role.rules?.length]), [["top", 1], ["middle", 1]]);
  assert.deepEqual(planAggregation([...plan, leaf]), []);
});

test("planAggregation() ends when roles select each other", () => {
  const a = aggregated("a", {});
  const b = aggregated("b", {});
  const plan = planAggregation([a, b, clusterRole("c", [rule("c")])]);
  assert.deepEqual(plan.map(({ rules }) => rules?.length), [1, 1]);
});
