import assert from "node:assert/strict";
import { test } from "node:test";
import type { NamespaceCondition } from "./kinds/core_v1.ts";
import { type EmptyingReport, updateDeletionConditions } from "./namespace_deletion.ts";

const T0 = new Date("2026-01-01T00:00:00Z");
const T1 = new Date("2026-01-01T00:01:00Z");
const WELL: EmptyingReport = { deletionFailures: [], remaining: [] };

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
  const report: EmptyingReport = {
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
  const report: EmptyingReport = { discoveryFailure: "no way", deletionFailures: ["b", "a"], remaining: [] };
  const failed = texts(updateDeletionConditions([], report, T0));
  assert.equal(failed?.[0], "NamespaceDeletionDiscoveryFailure=True DiscoveryFailed: no way");
  assert.equal(
    failed?.[2],
    "NamespaceDeletionContentFailure=True ContentDeletionFailed: Failed to delete all resource types, 2 remaining: a, b",
  );
});

test("updateDeletionConditions() keeps foreign conditions and the time of a status that stays", () => {
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
