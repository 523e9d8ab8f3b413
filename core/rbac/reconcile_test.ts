import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterRole, ClusterRoleBinding } from "../kube/kinds/rbac_v1.ts";
import { groupSubject, userSubject } from "../../tests/support/test_rbac.ts";
import { AUTOUPDATE_ANNOTATION } from "./default_roles.ts";
import { planReconcile } from "./reconcile.ts";

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
