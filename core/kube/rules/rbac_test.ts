import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFieldError } from "../status/field_error.ts";
import type { ClusterRole, PolicyRule, RoleRef, Subject } from "../kinds/rbac_v1.ts";
import {
  defaultBinding,
  validateBindingCreate,
  validateBindingUpdate,
  validateClusterRole,
  validateRole,
} from "./rbac.ts";

const GROUP = "rbac.authorization.k8s.io";
const metadata = { name: "x" };
const ROLE: RoleRef = { apiGroup: GROUP, kind: "ClusterRole", name: "r" };
const PODS: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };

for (
  const { name, rule, role, clusterRole } of [
    { name: "a resource rule", rule: PODS, role: [], clusterRole: [] },
    {
      name: "an empty rule",
      rule: { verbs: null },
      role: [
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        "rules[0].resources: Required value: resource rules must supply at least one resource",
        "rules[0].verbs: Required value",
      ],
    },
    {
      name: "a path",
      rule: { verbs: ["get"], nonResourceURLs: ["/x"] },
      role: [
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
      ],
      clusterRole: [],
    },
    {
      name: "a path and a resource",
      rule: { ...PODS, nonResourceURLs: ["/x"] },
      role: [
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and ' +
        "non-resource URLs",
      ],
      clusterRole: [
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and ' +
        "non-resource URLs",
      ],
    },
  ] as { name: string; rule: PolicyRule; role: string[]; clusterRole?: string[] }[]
) {
  test(`validateRole() reports ${role.length} faults for ${name}`, () => {
    assert.deepEqual(validateRole({ metadata, rules: [rule] }).map(formatFieldError), role);
  });
  test(`validateClusterRole() checks ${name}`, () => {
    const errors = validateClusterRole({ metadata, rules: [rule] }).map(formatFieldError);
    assert.deepEqual(errors, clusterRole ?? role);
  });
}

for (
  const { name, aggregationRule, want } of [
    { name: "labels", aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] }, want: [] },
    {
      name: "no selector",
      aggregationRule: {},
      want: [
        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if " +
        "aggregationRule is non-nil",
      ],
    },
    {
      name: "bad expressions",
      aggregationRule: {
        clusterRoleSelectors: [{
          matchExpressions: [
            { key: "a", operator: "In" },
            { key: "a", operator: "Exists", values: ["b"] },
            { key: "a", operator: "Near" },
          ],
        }],
      },
      want: [
        "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].values: Required value: must be specified when " +
        "`operator` is 'In' or 'NotIn'",
        "aggregationRule.clusterRoleSelectors[0].matchExpressions[1].values: Forbidden: may not be specified when " +
        "`operator` is 'Exists' or 'DoesNotExist'",
        'aggregationRule.clusterRoleSelectors[0].matchExpressions[2].operator: Invalid value: "Near": not a valid ' +
        "selector operator",
        "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
      ],
    },
  ] as { name: string; aggregationRule: NonNullable<ClusterRole["aggregationRule"]>; want: string[] }[]
) {
  test(`validateClusterRole() reports ${want.length} faults for aggregation by ${name}`, () => {
    assert.deepEqual(validateClusterRole({ metadata, rules: null, aggregationRule }).map(formatFieldError), want);
  });
}

test("defaultBinding() fills the groups of role, users and groups", () => {
  const binding = defaultBinding({
    metadata,
    subjects: [
      { kind: "User", name: "u" },
      { kind: "Group", apiGroup: "other", name: "g" },
      { kind: "ServiceAccount", name: "s", namespace: "n" },
    ],
    roleRef: { apiGroup: "", kind: "ClusterRole", name: "r" },
  });
  assert.equal(
    JSON.stringify(binding),
    '{"metadata":{"name":"x"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"u"},' +
      '{"kind":"Group","apiGroup":"other","name":"g"},{"kind":"ServiceAccount","name":"s","namespace":"n"}],' +
      '"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"r"}}',
  );
});

for (
  const { name, subject, want, clusterWant } of [
    { name: "a user", subject: { kind: "User", apiGroup: GROUP, name: "u" }, want: [] },
    {
      name: "a nameless group",
      subject: { kind: "Group", apiGroup: GROUP, name: "" },
      want: ["subjects[0].name: Required value"],
    },
    {
      name: "a user of another API group",
      subject: { kind: "User", apiGroup: "x", name: "u" },
      want: [`subjects[0].apiGroup: Unsupported value: "x": supported values: "${GROUP}"`],
    },
    {
      name: "an unknown kind",
      subject: { kind: "Robot", name: "u" },
      want: ['subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"'],
    },
    {
      name: "an account without namespace",
      subject: { kind: "ServiceAccount", name: "s" },
      want: [],
      clusterWant: ["subjects[0].namespace: Required value"],
    },
    {
      name: "an account with an API group",
      subject: { kind: "ServiceAccount", apiGroup: "x", name: "s", namespace: "n" },
      want: ['subjects[0].apiGroup: Unsupported value: "x": supported values: ""'],
    },
  ] as { name: string; subject: Subject; want: string[]; clusterWant?: string[] }[]
) {
  test(`validateBindingCreate() reports ${want.length} faults for ${name}`, () => {
    const binding = { metadata, subjects: [subject], roleRef: ROLE };
    assert.deepEqual(validateBindingCreate(binding, true).map(formatFieldError), want);
    assert.deepEqual(validateBindingCreate(binding, false).map(formatFieldError), clusterWant ?? want);
  });
}

test("validateBindingCreate() requires a role of a known kind", () => {
  const binding = { metadata, roleRef: { apiGroup: "x", kind: "Rule", name: "" } };
  assert.deepEqual(validateBindingCreate(binding, true).map(formatFieldError), [
    `roleRef.apiGroup: Unsupported value: "x": supported values: "${GROUP}"`,
    'roleRef.kind: Unsupported value: "Rule": supported values: "Role", "ClusterRole"',
    "roleRef.name: Required value",
  ]);
});

test("validateBindingCreate() binds no Role, and no path as a name", () => {
  const binding = { metadata, roleRef: { apiGroup: GROUP, kind: "Role", name: "a/b" } };
  assert.deepEqual(validateBindingCreate(binding, false).map(formatFieldError), [
    'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    "roleRef.name: Invalid value: \"a/b\": may not contain '/'",
  ]);
});

test("validateBindingCreate() reports missing names last, subjects before the role", () => {
  const binding = { metadata, subjects: [{ kind: "Robot", name: "" }], roleRef: { ...ROLE, name: "" } };
  assert.deepEqual(validateBindingCreate(binding, true).map(({ field }) => field), [
    "subjects[0].kind",
    "subjects[0].name",
    "roleRef.name",
  ]);
});

test("validateBindingUpdate() reports a changed role's missing name with its other faults", () => {
  const binding = { metadata, subjects: [{ kind: "Robot", name: "" }], roleRef: { ...ROLE, kind: "Rule", name: "" } };
  assert.deepEqual(validateBindingUpdate(binding, { metadata, roleRef: ROLE }, true).map(({ field }) => field), [
    "roleRef.kind",
    "roleRef.name",
    "subjects[0].kind",
    "roleRef",
    "subjects[0].name",
  ]);
});

for (const namespaced of [true, false]) {
  test(`validateBindingUpdate() keeps the role, namespaced ${namespaced}`, () => {
    const stored = { metadata, roleRef: ROLE };
    assert.deepEqual(validateBindingUpdate(stored, stored, namespaced), []);
    assert.deepEqual(
      validateBindingUpdate({ metadata, roleRef: { ...ROLE, name: "s" } }, stored, namespaced).map(formatFieldError),
      [
        `roleRef: Invalid value: {"APIGroup":"${GROUP}","Kind":"ClusterRole","Name":"s"}: field is immutable`,
      ],
    );
  });
}
