/** The Kubernetes project's own tests that need no pods, from an unmodified e2e.test, against `up`. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { start } from "../../support/child.ts";
import { startInstance } from "../../support/interop/instance.ts";
import { peerPath } from "../../support/peers/go.ts";

/** The conformance tests that need no pods. */
const CONFORMANCE: readonly string[] = [
  "should support CSR API operations",
  "certificates.k8s.io/v1 ClusterTrustBundles",
  "should support PodCertificateRequest API operations",
  "SubjectReview should support",
  "AggregatedDiscovery should support (aggregated discovery interface \\[|raw aggregated discovery endpoint)",
  "Discovery should (locate|validate)",
  "Namespaces should (apply|patch)",
  "Watchers should",
  "server version should find",
  "Events API should",
  "ConfigMap should run through",
  "lease API should be available",
  "Secrets should patch a secret",
  "should be immutable if",
  "ServiceAccounts should (run through|update|guarantee|create a serviceAccountToken)",
];

/** Not a conformance test: a user gets a certificate through a CSR, and the permissions that RBAC grants. */
const CLIENT = "should support building a client with a CSR";

/**
 * These expect discovery to list every group of a full Kubernetes (apps, batch, autoscaling …). tlsboot does not serve
 * them, and advertising an API that is missing would mislead every client.
 */
const NEED_ALL_GROUPS: readonly RegExp[] = [
  /AggregatedDiscovery should support aggregated discovery interface /,
  /AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers /,
  /Discovery should locate the groupVersion and a resource within each APIGroup /,
];
const MISSING_GROUP = /admissionregistration\.k8s\.io/;

/** A node that is ready to run pods, for which the setup of the suite waits. */
const READY_NODE = JSON.stringify({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "conformance" },
  status: { conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }] },
});

/** A test, or a node of the suite itself, in Ginkgo's report. */
interface SpecReport {
  readonly State: string;
  readonly LeafNodeType: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeText: string;
  readonly Failure?: { readonly Message: string };
}

test("conformance tests that need no pods pass, except those that expect groups that are not served", async () => {
  await using instance = await startInstance();
  const { folder, kubectl } = instance;
  await kubectl.create(READY_NODE);
  // Admission taints each new node; a node controller would remove the taint.
  await kubectl.run("taint", "nodes", "--all", "node.kubernetes.io/not-ready-");
  const report = folder.join("report.json");
  // The suite has no time limit except the runner's, because its tests take minutes.
  await using suite = start(peerPath("e2e.test"), [
    ...[`--kubeconfig=${instance.adminKubeconfig}`, "--provider=skeleton", "--disable-log-dump"],
    ...["--minStartupPods=0", "--allowed-not-ready-nodes=-1", "--ginkgo.no-color", "--ginkgo.v"],
    // By default the clock decides the order of the tests.
    ...["--ginkgo.seed=1", `--ginkgo.json-report=${report}`, `--ginkgo.focus=${[...CONFORMANCE, CLIENT].join("|")}`],
  ], { cwd: folder.path, env: { HOME: folder.join("home"), KUBECONFIG: "" } });
  const { stdout } = await suite.finished();
  const suites = JSON.parse(await readFile(report, "utf8")) as readonly { readonly SpecReports: SpecReport[] }[];
  const ran = suites.flatMap(({ SpecReports }) => SpecReports).filter(({ State }) => State !== "skipped");
  const passed = ran.filter(({ State, LeafNodeType }) => State === "passed" && LeafNodeType === "It").map(toName);
  const failed = ran.filter(({ State }) => State !== "passed");
  const unexpected = failed.filter((one) =>
    !NEED_ALL_GROUPS.some((pattern) => pattern.test(toName(one))) ||
    !MISSING_GROUP.test(one.Failure?.Message ?? "")
  );
  assert.deepEqual(unexpected.map((one) => `${toName(one)}: ${one.Failure?.Message}`), []);
  const explanation = [...passed, ...failed.map(toName), stdout];
  assert.equal(failed.length, NEED_ALL_GROUPS.length, explanation.join("\n"));
  assert.equal(passed.filter((name) => name.includes(CLIENT)).length, 1, explanation.join("\n"));
  assert.equal(passed.length, 1 + 27, explanation.join("\n"));
});

function toName({ ContainerHierarchyTexts, LeafNodeText }: SpecReport): string {
  return [...ContainerHierarchyTexts ?? [], LeafNodeText].join(" ");
}
