/** The Kubernetes project's own conformance tests that need no pods, from an unmodified e2e.test, against `up`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConformanceReport, READY_NODE, runConformance, WITHOUT_PODS } from "../support/interop/conformance.ts";
import { startInstance } from "../support/interop/instance.ts";

/**
 * These want the document of discovery to have every group of a whole Kubernetes (apps, batch, autoscaling …). Nothing
 * of it is served here, and discovery reports so: an API that is advertised and missing would mislead every client.
 */
const WANT_A_WHOLE_KUBERNETES: readonly RegExp[] = [
  /AggregatedDiscovery should support aggregated discovery interface /,
  /AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers /,
  /Discovery should locate the groupVersion and a resource within each APIGroup /,
];
const MISSING_GROUP = /admissionregistration\.k8s\.io/;

test("conformance tests that need no pods pass, except those that expect groups that are not served", async () => {
  await using instance = await startInstance();
  await instance.kubectl.given({ stdin: READY_NODE }).run("create", "-f", "-");
  // Admission taints each new node; a node controller would take the taint away.
  await instance.kubectl.run("taint", "nodes", "--all", "node.kubernetes.io/not-ready-");
  const report = await runConformance(instance.folder, instance.adminKubeconfig, WITHOUT_PODS);
  const unexpected = report.failed.filter(({ name, message }) =>
    !WANT_A_WHOLE_KUBERNETES.some((pattern) => pattern.test(name)) || !MISSING_GROUP.test(message)
  );
  assert.deepEqual(unexpected, [], explain(report));
  assert.equal(report.failed.length, WANT_A_WHOLE_KUBERNETES.length, explain(report));
  assert.equal(report.passed.length, 27, explain(report));
});

function explain({ passed, failed, output }: ConformanceReport): string {
  const lines = failed.map(({ name, message }) => `failed: ${name}: ${message}`);
  return [`${passed.length} passed`, ...passed, ...lines, output.slice(-20_000)].join("\n");
}
