/**
 * Metrics, read by Prometheus' own parser and compared with those of a real kube-apiserver and kube-controller-manager.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { get } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { peerPath } from "../../support/peers/go.ts";
import { eventually } from "../../support/eventually.ts";
import { runProgram, spawnTlsbootToEnd, succeedProgram } from "../../support/child.ts";
import { ensureDebianProgram } from "../../support/peers/debian.ts";
import { findServerPort } from "../../support/temp.ts";
import { createApiClient } from "../../support/interop/api_client.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { sharedControlPlane, sharedInstance } from "../../support/interop/shared.ts";
import type { RunningInstance } from "../../support/interop/instance.ts";

interface Family {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly series: number;
}

interface Checked {
  readonly families: ReadonlyMap<string, Family>;
  readonly problems: readonly string[];
}

/** Parses a page with Prometheus' parser. Throws if that fails. */
async function check(page: string): Promise<Checked> {
  const { stdout } = await succeedProgram(peerPath("promcheck"), [], { stdin: page });
  const { families, problems } = JSON.parse(stdout) as { families: readonly Family[]; problems: readonly string[] };
  return { families: new Map(families.map((family) => [family.name, family])), problems };
}

/** Issues one certificate, leaves one request pending and causes a refusal, so that every family has a series. */
async function causeSamples(kubectl: Kubectl): Promise<void> {
  await kubectl.create(await csrManifest("issued", { spec: { expirationSeconds: 3600 } }));
  await kubectl.create(await csrManifest("waiting"));
  await kubectl.run("certificate", "approve", "issued");
  await waitForCertificate(kubectl, "issued");
  await kubectl.try("get", "csr", "missing");
  await kubectl.run("auth", "can-i", "--list", "--as=jane");
}

/** Reads the metric families of kube-apiserver and kube-controller-manager together. */
async function readKubernetesFamilies(): Promise<ReadonlyMap<string, Family>> {
  const port = await findServerPort();
  await using plane = await sharedControlPlane();
  await using _controllers = plane.startCertificateControllers(
    ...[`--secure-port=${port}`, "--bind-address=127.0.0.1", "--authorization-always-allow-paths=/metrics"],
    "--leader-elect=true",
  );
  const { kubectl } = plane;
  await causeSamples(kubectl);
  const apiserver = await check(await kubectl.run("get", "--raw", "/metrics"));
  const certificate = ["--cacert", "/dev/null", "--insecure", "--silent", "--show-error", "--fail"];
  const { stdout } = await succeedProgram("curl", [...certificate, `https://127.0.0.1:${port}/metrics`]);
  return new Map([...(await check(stdout)).families, ...apiserver.families]);
}

async function readPage(instance: RunningInstance): Promise<string> {
  const send = await createApiClient(instance, "monitor-token");
  const { code, text } = await send("GET", "/metrics");
  assert.equal(code, 200, text);
  return text;
}

/** Metrics of Kubernetes or of Prometheus' own clients whose names Prometheus' linter criticizes. */
const NOT_OUR_NAMES =
  /^(?:process_|authentication_attempts|authenticated_user_requests|apiserver_certificates_|rest_client_)/;

test("Prometheus reads the metrics, and those with Kubernetes' names have its types and labels", async () => {
  const theirs = await readKubernetesFamilies();
  await using instance = await sharedInstance();
  await causeSamples(instance.kubectl);
  const watched = "/api/v1/configmaps?watch=true&sendInitialEvents=true&allowWatchBookmarks=true" +
    "&resourceVersionMatch=NotOlderThan";
  await using watch = instance.kubectl.start("get", "--raw", watched);
  await watch.waitFor(/initial-events-end/);
  const { families, problems } = await check(await readPage(instance));

  assert.deepEqual(problems.filter((problem) => !NOT_OUR_NAMES.test(problem)), []);
  const shared = [...families.values()].filter(({ name }) => theirs.has(name));
  assert.deepEqual(
    shared.map(({ name, type, labels }) => ({ name, type, labels })),
    shared.map(({ name }) => {
      const { type, labels } = theirs.get(name)!;
      return { name, type, labels };
    }),
  );
  // The names of metrics that only tlsboot has begin with `tlsboot`.
  const others = [...families.keys()].filter((name) => !theirs.has(name) && !/^(?:nodejs|process|tlsboot)_/.test(name));
  assert.deepEqual(others, []);
  const names = shared.map(({ name }) => name);
  for (
    const name of [
      ...["apiserver_request_total", "apiserver_longrunning_requests", "apiserver_watch_events_total"],
      "apiserver_current_inflight_requests",
      ...["authentication_attempts", "authenticated_user_requests", "authorization_attempts_total"],
      ...["apiserver_audit_event_total", "apiserver_client_certificate_expiration_seconds"],
      ...["apiserver_resource_objects", "workqueue_depth", "workqueue_queue_duration_seconds", "kubernetes_build_info"],
      ...["process_start_time_seconds", "apiserver_certificates_registry_csr_requested_duration_total"],
    ]
  ) assert.ok(names.includes(name), `${name} is not served by both`);
});

test("all metrics in the alerts and in the monitoring guide are served", async () => {
  await using instance = await sharedInstance();
  const { families } = await check(await readPage(instance));
  const rules = await readFile("packaging/mixin/tlsboot.rules.yaml", "utf8");
  const page = await readFile("docs/guides/monitoring.md", "utf8");
  const wanted = [rules, page].flatMap((text) =>
    text.match(/\b(?:tlsboot|apiserver|workqueue|authentication|leader_election)_[a-z_]+[a-z]\b/g) ?? []
  ).map((name) => name.replace(/_bucket$/, ""));
  assert.ok(wanted.length > 20);
  const known = [...families.keys(), ...EMPTY_AT_FIRST];
  assert.deepEqual([...new Set(wanted)].filter((name) => !known.includes(name)), []);
});

/** The families without samples before their first event. */
const EMPTY_AT_FIRST: readonly string[] = [
  ...["apiserver_audit_error_total", "leader_election_master_status", "tlsboot_audit_disk_free_bytes"],
  ...["apiserver_client_certificate_expiration_seconds", "tlsboot_certificates_issued_total"],
  ...["tlsboot_issued_certificates", "tlsboot_issued_certificates_overdue"],
  // This is served with an inventory, and the test of node attestations reads it.
  "tlsboot_node_attestations_total",
  // These are in the textfile of tlsboot doctor, which another test reads.
  ...["tlsboot_doctor_findings", "tlsboot_doctor_last_run_timestamp_seconds"],
  ...["tlsboot_issued_certificate_expiry_timestamp_seconds", "tlsboot_revoked_credentials_refused_total"],
];

test("no label has a value invented by a client", async () => {
  await using instance = await sharedInstance();
  const send = await createApiClient(instance, "monitor-token");
  const before = await check(await readPage(instance));
  const rounds = 40;
  for (let i = 0; i < rounds; i++) {
    const paths = [
      ...[`/invented-${i}`, `/apis/invented-${i}.io/v1/invented`, `/apis/certificates.k8s.io/v${i}invented/invented`],
      `/api/v1/namespaces/invented-${i}/invented-${i}`,
    ];
    await send(["GET", "INVENTED", "DELETE"][i % 3] ?? "GET", paths[i % paths.length] ?? "/", {
      headers: { "user-agent": `invented-${i}` },
    });
  }
  await send("GET", "/version", { headers: { authorization: "Bearer invented" } });
  const page = await readPage(instance);
  assert.ok(!/invented/i.test(page));
  const after = await check(page);
  const count = ({ families }: Checked) => families.get("apiserver_request_total")?.series ?? 0;
  // Controllers that have just started add a few series.
  assert.ok(count(after) - count(before) < rounds, "a series for each invented value");
});

test("a separate signer serves only /metrics and /healthz at the given address", async () => {
  const port = await findServerPort();
  await using instance = await sharedInstance();
  await using signer = instance.spawnTlsboot(
    ...["signer", "--kubeconfig", instance.adminKubeconfig, "--metrics-bind-address", `127.0.0.1:${port}`],
    ...["--cluster-signing-cert-file", instance.caPath, "--cluster-signing-key-file", `${instance.dataDir}/pki/ca.key`],
  );
  await signer.waitFor(/"?leading"?/);
  const names = ["workqueue_depth", "leader_election_master_status", "rest_client_requests_total"];
  const { problems } = await eventually(`series of ${names}`, async () => {
    const checked = await check((await fetchPlain(port, "/metrics")).text);
    return names.every((name) => (checked.families.get(name)?.series ?? 0) > 0) ? checked : undefined;
  });
  assert.deepEqual(problems.filter((problem) => !NOT_OUR_NAMES.test(problem)), []);
  assert.deepEqual(await fetchPlain(port, "/healthz"), { code: 200, text: "ok" });
  assert.equal((await fetchPlain(port, "/debug")).code, 404);
});

function fetchPlain(port: number, path: string): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path }, (response) => {
      let text = "";
      response.on("data", (chunk) => text += String(chunk));
      response.once("end", () => resolve({ code: response.statusCode ?? 0, text }));
    }).once("error", reject);
  });
}

test("Prometheus reads the textfile of tlsboot doctor, and promtool has no findings", async () => {
  await using instance = await sharedInstance();
  const { code, stdout, stderr } = await spawnTlsbootToEnd(["doctor", instance.dataDir, "-o", "textfile"]);
  assert.equal(code, 0, stdout + stderr);
  const { families, problems } = await check(stdout);
  assert.deepEqual(problems, []);
  const certificate = ["x509_cert_expired", "x509_cert_not_after", "x509_cert_not_before"];
  for (const name of [...certificate, "x509_cert_expires_in_seconds", "x509_read_errors", "tlsboot_doctor_findings"]) {
    assert.ok((families.get(name)?.series ?? 0) > 0, `${name} is missing`);
  }
  const promtool = join(await ensureDebianProgram("prometheus"), "usr", "bin", "promtool");
  const lint = await runProgram(promtool, ["check", "metrics"], { stdin: stdout });
  assert.deepEqual([lint.code, lint.stdout + lint.stderr], [0, ""]);
});
