import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap, Namespace, NamespaceCondition } from "../kinds/core_v1.ts";
import { formatFieldError } from "../status/field_error.ts";
import {
  defaultNamespace,
  type DeletionReport,
  planRootCa,
  prepareNamespaceForCreate,
  prepareNamespaceForUpdate,
  updateDeletionConditions,
  validateNamespace,
  validateNamespaceFinalizeUpdate,
  validateNamespaceStatusUpdate,
} from "./namespaces.ts";

test("defaultNamespace() adds label and phase in Go's order", () => {
  assert.equal(
    JSON.stringify(
      defaultNamespace({ metadata: { name: "n", labels: { z: "1" }, annotations: {} }, spec: {}, status: {} }),
    ),
    '{"metadata":{"name":"n","labels":{"kubernetes.io/metadata.name":"n","z":"1"},"annotations":{}},"spec":{},' +
      '"status":{"phase":"Active"}}',
  );
});

test("defaultNamespace() waits for a generated name", () => {
  const namespace: Namespace = { metadata: { generateName: "n-" }, spec: {}, status: { phase: "Terminating" } };
  assert.deepEqual(defaultNamespace(namespace), namespace);
});

test("prepareNamespaceForCreate() adds the finalizer and resets the status", () => {
  const namespace: Namespace = {
    metadata: { name: "n" },
    spec: { finalizers: ["x/y"] },
    status: { phase: "Terminating" },
  };
  const prepared = prepareNamespaceForCreate(namespace);
  assert.deepEqual(prepared.spec.finalizers, ["x/y", "kubernetes"]);
  assert.deepEqual(prepared.status, { phase: "Active" });
  assert.deepEqual(prepareNamespaceForCreate(prepared), prepared);
});

test("prepareNamespaceForUpdate() keeps spec and status", () => {
  const stored: Namespace = {
    metadata: { name: "n" },
    spec: { finalizers: ["kubernetes"] },
    status: { phase: "Active" },
  };
  const sent: Namespace = { metadata: { name: "n" }, spec: {}, status: { phase: "Terminating" } };
  const prepared = prepareNamespaceForUpdate(sent, stored);
  assert.deepEqual(prepared.spec, stored.spec);
  assert.deepEqual(prepared.status, stored.status);
});

test("validateNamespace() and validateNamespaceFinalizeUpdate() report invalid finalizers", () => {
  const namespace: Namespace = { metadata: { name: "n" }, spec: { finalizers: ["kubernetes", "mine"] }, status: {} };
  const detail = 'Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified';
  assert.deepEqual(validateNamespace(namespace).map(formatFieldError), [`spec.finalizers: ${detail}`]);
  assert.deepEqual(validateNamespaceFinalizeUpdate(namespace).map(formatFieldError), [`spec.finalizers[1]: ${detail}`]);
});

test("validateNamespaceStatusUpdate() ties the phase to the deletion", () => {
  const alive: Namespace = { metadata: { name: "n" }, spec: {}, status: { phase: "Active" } };
  const dying: Namespace = { ...alive, metadata: { name: "n", deletionTimestamp: "2026-01-01T00:00:00Z" } };
  assert.deepEqual(validateNamespaceStatusUpdate(alive), []);
  assert.deepEqual(validateNamespaceStatusUpdate(dying).map(formatFieldError), [
    "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty",
  ]);
  assert.deepEqual(validateNamespaceStatusUpdate({ ...alive, status: {} }).map(formatFieldError), [
    "status.Phase: Invalid value: \"\": may only be 'Active' if `deletionTimestamp` is empty",
  ]);
});

const T0 = new Date("2026-01-01T00:00:00Z");
const T1 = new Date("2026-01-01T00:01:00Z");
const WELL: DeletionReport = { deletionFailures: [], remaining: [] };

function texts(conditions: readonly NamespaceCondition[] | undefined): readonly string[] | undefined {
  return conditions?.map(({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`);
}

test("updateDeletionConditions() reports success in five conditions", () => {
  assert.deepEqual(texts(updateDeletionConditions([], WELL, T0)), [
    "NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered",
    "NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: All legacy kube types successfully parsed",
    "NamespaceDeletionContentFailure=False ContentDeleted: All content successfully deleted, may be waiting on finalization",
    "NamespaceContentRemaining=False ContentRemoved: All content successfully removed",
    "NamespaceFinalizersRemaining=False ContentHasNoFinalizers: All content-preserving finalizers finished",
  ]);
});

test("updateDeletionConditions() counts remaining objects and their finalizers, in a stable order", () => {
  const report: DeletionReport = {
    deletionFailures: [],
    remaining: [
      { group: "", resource: "secrets", count: 1, finalizers: ["z.example/b"] },
      { group: "", resource: "configmaps", count: 2, finalizers: ["a.example/h", "z.example/b", "a.example/h"] },
      { group: "coordination.k8s.io", resource: "leases", count: 3, finalizers: [] },
    ],
  };
  assert.deepEqual(texts(updateDeletionConditions([], report, T0))?.slice(3), [
    "NamespaceContentRemaining=True SomeResourcesRemain: Some resources are remaining: configmaps. has 2 resource " +
    "instances, leases.coordination.k8s.io has 3 resource instances, secrets. has 1 resource instances",
    "NamespaceFinalizersRemaining=True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: " +
    "a.example/h in 2 resource instances, z.example/b in 2 resource instances",
  ]);
});

test("updateDeletionConditions() reports failures", () => {
  const report: DeletionReport = { deletionFailures: ["b", "a"], remaining: [] };
  const failed = texts(updateDeletionConditions([], report, T0));
  assert.equal(
    failed?.[2],
    "NamespaceDeletionContentFailure=True ContentDeletionFailed: Failed to delete all resource types, 2 remaining: a, b",
  );
});

test("updateDeletionConditions() keeps foreign conditions, and the time of an unchanged status", () => {
  const foreign = { type: "Mine", status: "True" };
  const remaining = (count: number) => [{ group: "", resource: "secrets", count, finalizers: ["x"] }];
  const first = updateDeletionConditions([foreign], { ...WELL, remaining: remaining(2) }, T0) ?? [];
  assert.deepEqual(first[0], foreign);
  assert.equal(updateDeletionConditions(first, { ...WELL, remaining: remaining(2) }, T1), undefined);
  const fewer = updateDeletionConditions(first, { ...WELL, remaining: remaining(1) }, T1) ?? [];
  const content = (conditions: readonly NamespaceCondition[]) =>
    conditions.find(({ type }) => type === "NamespaceContentRemaining");
  assert.equal(content(fewer)?.lastTransitionTime, "2026-01-01T00:00:00Z");
  assert.match(content(fewer)?.message ?? "", /has 1 resource instances/);
  const none = updateDeletionConditions(fewer, WELL, T1) ?? [];
  assert.equal(content(none)?.lastTransitionTime, "2026-01-01T00:01:00Z");
});

function made(): ConfigMap {
  const plan = planRootCa(undefined, "web", "PEM");
  assert.ok(plan.kind === "create");
  return plan.configMap;
}

test("planRootCa() creates the map with the bundle and a description", () => {
  const { metadata, data } = made();
  assert.equal(`${metadata.namespace}/${metadata.name}`, "web/kube-root-ca.crt");
  assert.deepEqual(data, { "ca.crt": "PEM" });
  assert.match(
    metadata.annotations?.["kubernetes.io/description"] ?? "",
    /^Contains a CA bundle .* Kubernetes clusters\.$/,
  );
});

for (
  const { name, edit, want } of [
    { name: "is as it was made", edit: {}, want: "none" },
    {
      name: "is described in other words",
      edit: { metadata: { name: "x", annotations: { "kubernetes.io/description": "ours" } } },
      want: "none",
    },
    { name: "has another bundle", edit: { data: { "ca.crt": "OTHER" } }, want: "update" },
    { name: "has more than the bundle", edit: { data: { "ca.crt": "PEM", more: "x" } }, want: "update" },
    { name: "has no data", edit: { data: {} }, want: "update" },
    { name: "is not described", edit: { metadata: { name: "kube-root-ca.crt", labels: { a: "b" } } }, want: "update" },
  ] as { name: string; edit: Partial<ConfigMap>; want: string }[]
) {
  test(`planRootCa() is ${want} for a map that ${name}`, () => {
    const plan = planRootCa({ ...made(), ...edit }, "web", "PEM");
    assert.equal(plan.kind, want);
    if (plan.kind === "none") return;
    assert.deepEqual(plan.configMap.data, { "ca.crt": "PEM" });
    assert.deepEqual(plan.configMap.metadata.labels, edit.metadata?.labels);
  });
}
