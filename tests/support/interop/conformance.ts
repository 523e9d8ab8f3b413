/** The Kubernetes project's own conformance tests, from an unmodified e2e.test, and the results of its JUnit report. */
import { readFile } from "node:fs/promises";
import { peerPath } from "../peers/go.ts";
import { start } from "../child.ts";
import type { TempFolder } from "../temp.ts";

/** The results of the chosen tests, by their full names; sorted. */
export interface ConformanceReport {
  readonly passed: readonly string[];
  /** The tests that failed, with their messages. */
  readonly failed: readonly { readonly name: string; readonly message: string }[];
  /** The whole output, for a report that is not as it should be. */
  readonly output: string;
}

/** The tests that need no pods. */
export const WITHOUT_PODS: readonly string[] = [
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

/** The node that the setup of the suite waits for: one that could run something. */
export const READY_NODE = JSON.stringify({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "conformance" },
  status: { conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }] },
});

/** Runs the tests that some patterns find; the whole takes less than a minute. */
export async function runConformance(
  folder: TempFolder,
  kubeconfig: string,
  focus: readonly string[],
): Promise<ConformanceReport> {
  const report = folder.join("junit.xml");
  await using running = start(peerPath("e2e.test"), [
    ...[`--kubeconfig=${kubeconfig}`, "--provider=skeleton", "--disable-log-dump"],
    ...["--minStartupPods=0", "--allowed-not-ready-nodes=-1"],
    ...["--ginkgo.no-color", "--ginkgo.v", `--ginkgo.junit-report=${report}`, `--ginkgo.focus=${focus.join("|")}`],
  ], { cwd: folder.path, env: { HOME: folder.join("home"), KUBECONFIG: "" } });
  const { stdout, stderr } = await running.finished();
  return { ...parseReport(await readFile(report, "utf8")), output: `${stdout}\n${stderr}` };
}

/** Reads the report that Ginkgo writes: nodes of the suite itself count when they fail, tests that were not chosen do not. */
function parseReport(xml: string): Omit<ConformanceReport, "output"> {
  const cases = [
    ...xml.matchAll(/<testcase name="([^"]*)"[^>]*? status="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g),
  ]
    .map(([, name = "", status = "", body = ""]) => ({ name: unescapeXml(name), status, body }))
    .filter(({ status }) => status !== "skipped")
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    passed: cases.filter(({ name, status }) => status === "passed" && name.startsWith("[It] ")).map(({ name }) => name),
    failed: cases.filter(({ status }) => status !== "passed").map(({ name, body }) => ({
      name,
      message: unescapeXml(/<failure message="([^"]*)"/.exec(body)?.[1] ?? ""),
    })),
  };
}

function unescapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(
    /&(?:#(\d+)|#x([0-9a-f]+)|(lt|gt|quot|apos|amp));/gi,
    (_, decimal?: string, hex?: string, name?: string) =>
      name === undefined
        ? String.fromCodePoint(decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal))
        : names[name] ?? "",
  );
}
