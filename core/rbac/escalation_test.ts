import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyRule } from "../kube/kinds/rbac_v1.ts";
import { testUser } from "../../tests/support/test_rbac.ts";
import { findUncoveredRules, formatEscalationMessage } from "./escalation.ts";

const rule = (edit: Partial<PolicyRule>): PolicyRule => ({
  verbs: ["get"],
  apiGroups: [""],
  resources: ["pods"],
  ...edit,
});

const cases: readonly { name: string; held: readonly PolicyRule[]; wanted: readonly PolicyRule[]; missing: number }[] =
  [
    { name: "the same rule", held: [rule({})], wanted: [rule({})], missing: 0 },
    { name: "nothing held", held: [], wanted: [rule({ verbs: ["get", "list"] })], missing: 2 },
    {
      name: "parts from several rules",
      held: [rule({}), rule({ verbs: ["list"] })],
      wanted: [rule({ verbs: ["get", "list"] })],
      missing: 0,
    },
    { name: "any verb held", held: [rule({ verbs: ["*"] })], wanted: [rule({ verbs: ["x", "y"] })], missing: 0 },
    { name: "any verb wanted", held: [rule({ verbs: ["get", "list"] })], wanted: [rule({ verbs: ["*"] })], missing: 1 },
    { name: "any group held", held: [rule({ apiGroups: ["*"] })], wanted: [rule({ apiGroups: ["a"] })], missing: 0 },
    {
      name: "any resource held",
      held: [rule({ resources: ["*"] })],
      wanted: [rule({ resources: ["a/b"] })],
      missing: 0,
    },
    {
      name: "a subresource of everything held",
      held: [rule({ resources: ["*/status"] })],
      wanted: [rule({ resources: ["pods/status", "pods"] })],
      missing: 1,
    },
    { name: "names wanted, all held", held: [rule({})], wanted: [rule({ resourceNames: ["a"] })], missing: 0 },
    { name: "all wanted, names held", held: [rule({ resourceNames: ["a"] })], wanted: [rule({})], missing: 1 },
    {
      name: "some of the names held",
      held: [rule({ resourceNames: ["a"] })],
      wanted: [rule({ resourceNames: ["a", "b"] })],
      missing: 1,
    },
    {
      name: "a path under a held pattern",
      held: [{ verbs: ["get"], nonResourceURLs: ["/api/*"] }],
      wanted: [{ verbs: ["get"], nonResourceURLs: ["/api/v1", "/apis"] }],
      missing: 1,
    },
  ];

for (const { name, held, wanted, missing } of cases) {
  test(`findUncoveredRules() finds ${missing}: ${name}`, () => {
    assert.equal(findUncoveredRules(held, wanted).length, missing);
  });
}

test("formatEscalationMessage() lists missing rules in upstream's form, compacted and sorted", () => {
  const missing = findUncoveredRules([], [
    { verbs: ["get"], nonResourceURLs: ["/x"] },
    rule({ verbs: ["get", "list"], resources: ["secrets"] }),
    rule({ resources: ["pods"], resourceNames: ["a"] }),
  ]);
  assert.equal(
    formatEscalationMessage(testUser("u", "g", "system:authenticated"), missing),
    'user "u" (groups=["g" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
      '{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}\n' +
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}\n' +
      '{NonResourceURLs:["/x"], Verbs:["get"]}',
  );
});

test("formatEscalationMessage() appends the errors of the lookup of the user's rules", () => {
  const message = formatEscalationMessage(testUser("u"), [rule({})], [
    'clusterrole.rbac.authorization.k8s.io "x" not found',
  ]);
  assert.ok(message.endsWith('; resolution errors: [clusterrole.rbac.authorization.k8s.io "x" not found]'), message);
});

test("findUncoveredRules() does not multiply out a rule of millions of parts", () => {
  const many = (prefix: string) => Array.from({ length: 200 }, (_, index) => `${prefix}${index}`);
  const huge = { verbs: many("v"), apiGroups: many("g"), resources: many("r") };
  assert.deepEqual(findUncoveredRules([{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }], [huge]), [huge]);
  assert.deepEqual(findUncoveredRules([{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }], [huge]), []);
});

test("findUncoveredRules() bounds the parts of all rules together, not of each", () => {
  const many = (prefix: string) => Array.from({ length: 150 }, (_, index) => `${prefix}${index}`);
  const wide = { verbs: many("v"), apiGroups: [""], resources: many("r") };
  const missing = findUncoveredRules([], Array.from({ length: 20 }, () => wide));
  assert.ok(missing.length < 150_000, `${missing.length} parts`);
  assert.deepEqual(missing.at(-1), wide);
});

test("findUncoveredRules() compares many wanted rules with many held ones in bounded time, and then grants nothing", () => {
  const held = Array.from({ length: 20_000 }, () => rule({ resources: ["secrets"] }));
  const wanted = Array.from({ length: 20_000 }, () => rule({ resources: ["pods"] }));
  assert.deepEqual(findUncoveredRules([...held, rule({})], wanted).at(-1), rule({}));
});

test("formatEscalationMessage() lists the verbs of thousands of parts in time that grows with them", () => {
  const many = Array.from({ length: 250 }, (_, index) => String(index));
  const parts = findUncoveredRules([], [rule({ verbs: many, resources: Array.from(many, () => "pods") })]);
  assert.equal(parts.length, 62_500);
  const message = formatEscalationMessage(testUser("u"), parts);
  assert.equal(message.split("\n").length, 2);
  assert.equal(message.split('"249"').length, 251, "each verb as often as upstream appends it");
});
