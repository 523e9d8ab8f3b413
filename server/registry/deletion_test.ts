import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeleteOptions, KubeObject } from "../../core/kube/meta.ts";
import { assertLinear } from "../../tests/support/growth.ts";
import { finalizersAfterDeletion, markedForDeletion } from "./delete.ts";
import type { DeletionRules } from "./resource.ts";

function held(...finalizers: string[]): KubeObject {
  return { metadata: { name: "a", ...(finalizers.length === 0 ? {} : { finalizers }) } };
}

// apiserver pkg/registry/generic/registry/store.go, shouldOrphanDependents and shouldDeleteDependentsInForeground.
for (
  const { name, object = held(), options = {}, rules = {}, want } of [
    { name: "no options are given", want: [] },
    { name: "a finalizer holds it", object: held("x.example/h"), want: ["x.example/h"] },
    { name: "dependents are to be orphans", options: { propagationPolicy: "Orphan" }, want: ["orphan"] },
    {
      name: "dependents are to go first",
      object: held("x.example/h"),
      options: { propagationPolicy: "Foreground" },
      want: ["x.example/h", "foregroundDeletion"],
    },
    { name: "the policy is changed", object: held("orphan"), options: { propagationPolicy: "Background" }, want: [] },
    { name: "the policy was set before", object: held("orphan"), want: ["orphan"] },
    { name: "old clients ask for orphans", options: { orphanDependents: true }, want: ["orphan"] },
    {
      name: "old clients ask for none",
      object: held("orphan", "foregroundDeletion"),
      options: { orphanDependents: false },
      want: [],
    },
    {
      name: "the resource knows no policies",
      object: held("orphan", "x.example/h"),
      options: { propagationPolicy: "Foreground" },
      rules: { withoutPolicy: true },
      want: ["x.example/h"],
    },
  ] as { name: string; object?: KubeObject; options?: DeleteOptions; rules?: DeletionRules; want: string[] }[]
) {
  test(`finalizersAfterDeletion() returns ${want.length} when ${name}`, () => {
    assert.deepEqual(finalizersAfterDeletion(object, options, rules), want);
  });
}

test("markedForDeletion() marks once, counts a generation, and keeps the first time", () => {
  const at = new Date("2026-01-01T00:00:00Z");
  const object: KubeObject = { metadata: { name: "a", generation: 3, finalizers: ["x.example/h"] } };
  const marked = markedForDeletion(object, object.metadata.finalizers ?? [], at);
  assert.deepEqual(marked.metadata, {
    name: "a",
    generation: 4,
    deletionTimestamp: "2026-01-01T00:00:00Z",
    deletionGracePeriodSeconds: 0,
    finalizers: ["x.example/h"],
  });
  const later = new Date("2026-01-02T00:00:00Z");
  assert.equal(markedForDeletion(marked, marked.metadata.finalizers ?? [], later), marked);
  const changed = markedForDeletion(marked, ["orphan"], later);
  assert.equal(changed.metadata.deletionTimestamp, "2026-01-01T00:00:00Z");
  assert.equal(changed.metadata.generation, 4);
});

test("finalizersAfterDeletion() takes linear time", async () => {
  await assertLinear({
    input: (size) => held(...Array.from({ length: size }, (_, index) => `a/${index}`)),
    read: (object) => finalizersAfterDeletion(object, {}, {}),
    limit: 16_384,
  });
});
