/**
 * Checks that docs/reference/metrics.md lists every metric that the product exports, with its type and labels, and that
 * docs/guides/monitoring.md has a section for each alert.
 */
import assert from "node:assert/strict";
import { addIssuedMetrics, followRequests, IssuedCertificates } from "../server/metrics/certificates.ts";
import { RegisterIndex } from "../server/register/index.ts";
import { formatTextfile } from "../core/report/health/finding.ts";
import { createAuthority } from "../core/pki/authority/authority.ts";
import { err } from "../core/lib/result.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import type { PublicKeyPin } from "../core/pki/keys/key_names.ts";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { countRejections, createMetrics, gaugeInflight, gaugeLevels } from "../server/metrics/api_requests.ts";
import { createControllerMetrics, observeTransport } from "../server/metrics/controllers.ts";
import { countObjects, createEtcdMetrics, createStorageMetrics, gaugeAuditDisk } from "../server/metrics/storage.ts";
import { createFlowControl } from "../server/flowcontrol/flow_control.ts";
import { addBuildInfo, createExpiryMetrics, createMetricsRegistry } from "../server/metrics/registry.ts";
import { createNodeAttestations } from "../server/attestation/node_attestations.ts";
import { openBootstrapTokens } from "../server/authn/bootstrap_tokens.ts";
import { openRevocations } from "../server/revocation/revocations.ts";
import { NodeRecovery } from "../server/authn/node_recovery.ts";
import { Register } from "../server/register/register.ts";
import { createFakeClock } from "./support/fake_clock.ts";
import { createMemoryLogger } from "./support/memory_logger.ts";
import { createSeededRandom } from "./support/seeded_random.ts";
import { createMemoryStorage } from "../server/storage/memory/journaled_storage.ts";
import { countTokenUses } from "../server/authn/service_account_tokens.ts";

const PAGE = "docs/reference/metrics.md";

/** The properties of a prom-client metric that its types lack. */
interface KnownMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

/** Creates all metrics of the product in one registry. No process has them all: only some use etcd or a Lease. */
async function collectMetrics(): Promise<readonly KnownMetric[]> {
  const registry = createMetricsRegistry();
  const [clock, storage] = [createFakeClock(), createMemoryStorage({ clock: createFakeClock() })];
  const transport = { send: () => Promise.reject(new Error("not used here")) };
  addBuildInfo(registry, { version: {} });
  createMetrics(registry);
  countTokenUses(registry);
  createControllerMetrics(registry, clock);
  createEtcdMetrics(registry, []);
  createExpiryMetrics(registry);
  createStorageMetrics(registry, () => Promise.resolve({ database: 0, journal: 0, diskFree: 0 }));
  gaugeAuditDisk(registry, () => Promise.resolve(0));
  countObjects(registry, storage, []);
  countRejections(registry);
  gaugeLevels(registry, createFlowControl({ clock, seats: 1 }));
  gaugeInflight(registry, clock);
  observeTransport(transport, "host", registry, clock);
  const issued = new IssuedCertificates(new RegisterIndex());
  addIssuedMetrics(registry, clock, issued);
  using _following = await followRequests(storage, registry, clock, issued);
  const reporting = { storage, clock, random: createSeededRandom(), logger: createMemoryLogger(), registry };
  using _tokens = await openBootstrapTokens(reporting);
  using register = await Register.open(reporting);
  using _revocations = await openRevocations({ ...reporting, register });
  createNodeAttestations({
    ...reporting,
    stopping: AbortSignal.abort(),
    sealingKey: () => new Uint8Array(),
    caHash: () => "" as PublicKeyPin,
    expected: () => ({ kinds: [], pcrs: [], find: () => err("none") }),
  });
  new NodeRecovery({ ...reporting, register, graceMs: 1, perHour: 1 });
  return registry.getMetricsAsArray() as unknown as readonly KnownMetric[];
}

/** Metrics of the process and the runtime, which depend on the platform. */
const RUNTIME = /^(?:process|nodejs)_/;

test(`${PAGE} lists every metric with its type and labels`, async () => {
  const page = (await readFile(PAGE, "utf8")).replace(/\n +/g, " ");
  const listed = [...page.matchAll(/^- `([a-z0-9_]+)(?:\{([A-Za-z_, ]+)\})?` \((\w+)\): \S/gm)].map(
    ([, name, labels = "", type]) => `${type} ${name} ${labels}`,
  );
  const exported = (await collectMetrics()).filter(({ name }) => !RUNTIME.test(name)).map(
    ({ name, type, labelNames }) => `${type} ${name} ${labelNames.join(", ")}`,
  );
  assert.deepEqual(listed.toSorted(), [...exported, ...await listTextfileMetrics()].toSorted());
});

/** Lists the series of `tlsboot doctor -o textfile` for a certificate with every label. */
async function listTextfileMetrics(): Promise<readonly string[]> {
  const [key, serial] = [await generatePrivateKey("ecdsa-p256"), Uint8Array.of(1)];
  const times = { notBefore: new Date(0), notAfter: new Date(1_000) };
  const { certificate } = await createAuthority({ commonName: "a", organizations: ["o"], key, serial, ...times });
  const embedded = { kind: "cluster", key: "a" } as const;
  const certificates = [{ path: "/a/b", certificate, embedded }];
  const text = formatTextfile({
    findings: [],
    certificates,
    unreadableFiles: 0,
    uncheckedTargets: 0,
    now: new Date(0),
  });
  const labels = new Map(
    [...text.matchAll(/^([a-z0-9_]+)(?:\{(.*)\})? /gm)].map(([, name = "", list = ""]) => [
      name,
      [...list.matchAll(/([A-Za-z_]+)="/g)].map(([, label]) => label).join(", "),
    ]),
  );
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type]) =>
    `${type} ${name} ${labels.get(name) ?? ""}`
  );
}

test("docs/guides/monitoring.md: each alert refers to the page and has a section there, and each section has an alert", async () => {
  const page = await readFile("docs/guides/monitoring.md", "utf8");
  const rules = await readFile("packaging/mixin/tlsboot.rules.yaml", "utf8");
  const find = (pattern: RegExp, text: string) => [...text.matchAll(pattern)].map(([, found = ""]) => found);
  const alerts = find(/- alert: "(\w+)"/g, rules);
  assert.ok(alerts.length > 5);
  assert.deepEqual(find(/^### (Tlsboot\w+)\n\n\S/gm, page), alerts);
  assert.equal(find(/^ +runbook: "(tlsboot guide monitoring)"$/gm, rules).length, alerts.length);
});
