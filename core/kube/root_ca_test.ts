import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap } from "./kinds/core_v1.ts";
import { planRootCa } from "./root_ca.ts";

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
