import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemRandom } from "../cli/system.ts";
import { AppError } from "../core/errors.ts";
import type { CaRetirement } from "../core/machine/renewal_schedule.ts";
import { Secret } from "../core/lib/brand.ts";
import type { KubeObject } from "../core/kube/meta.ts";
import { encodeKubeconfig, type KubeconfigCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import { createDyingFiles, Killed } from "../tests/support/failing_files.ts";
import { eventually } from "../tests/support/eventually.ts";
import { failure, type FakeApi, startFakeApi } from "../tests/support/fake_api.ts";
import { createFakeClock, createSkippingClock, type FakeClock, until } from "../tests/support/fake_clock.ts";
import { createIssuingCa } from "../tests/support/issuing_ca.ts";
import { createMemoryFiles, type MemoryFiles } from "../tests/support/memory_files.ts";
import { createMemoryLogger, type MemoryLogger } from "../tests/support/memory_logger.ts";
import { openCredentialStore } from "./certificate/credential_store.ts";
import type { FilePort } from "./files.ts";
import { followNodeTrust, type NodeTrustOptions, type TrustChange, updateNodeTrust } from "./node_trust.ts";
import { createHolder, type Holder } from "./keep_fresh.ts";
import { createConnector } from "./transport/connect.ts";

const NOW = new Date();
const KUBECONFIG = "/node/kubeconfig";
const CA_FILE = "/node/ca.crt";
const SIGNER = "kubernetes.io/kube-apiserver-serving";

interface Machine extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly api: FakeApi;
  readonly files: MemoryFiles;
  readonly logger: MemoryLogger;
  readonly stored: TrustChange[];
  readonly retirement: Holder<CaRetirement | undefined>;
  /** The fingerprints of each report. */
  readonly reports: (readonly string[])[];
  /** Replaces the bundle of the cluster. */
  publish(pem: string, annotations?: Readonly<Record<string, string>>): void;
  start(files?: FilePort): void;
  /** Stores the published CAs once. */
  update(files?: FilePort): Promise<void>;
}

type CaKind = "data" | "file";

/** A machine with a certificate and a kubeconfig that keeps the CA, and a cluster. */
async function startMachine(
  kind: CaKind,
  edit: Partial<KubeconfigCluster> = {},
): Promise<Machine> {
  const fakeClock = createFakeClock(NOW);
  // Short pauses end at once; pauses of half a minute or longer end when a test moves the clock.
  const clock = createSkippingClock(fakeClock, 0, 29_999);
  const api = await startFakeApi({ now: NOW });
  const reports: (readonly string[])[] = [];
  api.intercept = ({ method, path, body }) => {
    if (method !== "POST" || path !== "/apis/tlsboot/v1alpha1/trustreports") return undefined;
    reports.push((body as { spec: { trusted: readonly string[] } }).spec.trusted);
    return { status: 201, body: body as Record<string, unknown> };
  };
  const key = await generatePrivateKey("ecdsa-p256");
  const pair = await api.ca.issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName: "system:node:n1" } });
  const ca = kind === "file" ? { certificateAuthority: "ca.crt" } : { certificateAuthorityData: api.ca.caPem };
  const files = createMemoryFiles({
    [CA_FILE]: api.ca.caPem,
    [KUBECONFIG]: `# of this machine\n${
      encodeKubeconfig({
        clusters: [{ name: "c", cluster: { server: api.server, ...ca, ...edit } }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        users: [{ name: "u", user: { clientCertificateData: pair, clientKeyData: new Secret(key.toPem()) } }],
        currentContext: "x",
      })
    }preferences: { colors: true } # kept\n`,
  });
  files.entries.set(CA_FILE, { kind: "file", text: api.ca.caPem, mode: 0o640 });
  const random = createSystemRandom();
  const logger = createMemoryLogger();
  const store = await openCredentialStore({ files, clock, certDir: "/node/pki", prefix: "kubelet-client" });
  const stored: TrustChange[] = [];
  const retirement = createHolder<CaRetirement | undefined>(undefined);
  const end = new AbortController();
  const createOptions = (port: FilePort): NodeTrustOptions => ({
    ...{ kubeconfigPath: KUBECONFIG, nodeName: "n1", files: port, retirement, clock, random, logger, store },
    connect: createConnector({ files: port, clock, userAgent: "test" }),
    onStored: (change) => stored.push(change),
  });
  let running: Promise<unknown> = Promise.resolve();
  return {
    ...{ clock: fakeClock, api, files, logger, stored, retirement, reports },
    publish(trustBundle, annotations = {}) {
      api.put({ metadata: { name: "b", annotations }, spec: { signerName: SIGNER, trustBundle } } as KubeObject);
    },
    start(port = files) {
      running = followNodeTrust(createOptions(port), end.signal).catch((error: unknown) => error);
    },
    update: (port = files) => updateNodeTrust(createOptions(port), end.signal),
    async [Symbol.asyncDispose]() {
      end.abort(new Error("over"));
      await running;
      await api[Symbol.asyncDispose]();
    },
  };
}

function fingerprints(pem: string): readonly string[] {
  const bundle = parseCaBundle(pem);
  assert.ok(bundle.ok);
  return bundle.value.map(({ sha256Fingerprint }) => sha256Fingerprint).sort();
}

function eventuallyIs(what: string, check: () => boolean): Promise<true> {
  return eventually(what, () => Promise.resolve(check() || undefined));
}

const NEW_CA = await createIssuingCa(NOW, "new-ca");

test("followNodeTrust() replaces an embedded CA, leaves the rest of the kubeconfig, and reports over a new connection", async () => {
  await using m = await startMachine("data");
  const before = m.files.text(KUBECONFIG) ?? "";
  const both = m.api.ca.caPem + NEW_CA.caPem;
  m.publish(`# the CAs\n${both}`);
  m.start();
  await eventuallyIs("a report", () => m.reports.length === 1);
  const after = m.files.text(KUBECONFIG) ?? "";
  const change = /certificate-authority-data: (\S+)\n/;
  assert.equal(after.replace(change, ""), before.replace(change, ""));
  const written = atob(change.exec(after)?.[1] ?? "");
  assert.deepEqual(fingerprints(written), fingerprints(both));
  assert.equal(m.files.mode(KUBECONFIG), 0o600);
  assert.deepEqual(m.reports, [fingerprints(both)]);
  assert.equal(m.api.received.at(-1)?.clientName, "system:node:n1");

  // The new CA is removed again, as after an abort, and the file has its original content.
  m.publish(m.api.ca.caPem);
  await eventuallyIs("another report", () => m.reports.length === 2);
  assert.equal(m.files.text(KUBECONFIG), before);
  assert.deepEqual(m.reports[1], fingerprints(m.api.ca.caPem));
  assert.deepEqual(m.stored.map(({ path, added, removed }) => [path, added, removed]), [
    [KUBECONFIG, 1, 0],
    [KUBECONFIG, 0, 1],
  ]);
  assert.deepEqual(m.logger.messages("warn"), []);
});

test("followNodeTrust() writes the file of CAs that the kubeconfig names, and not the kubeconfig", async () => {
  await using m = await startMachine("file");
  const before = m.files.text(KUBECONFIG);
  const both = m.api.ca.caPem + NEW_CA.caPem;
  m.publish(both);
  m.start();
  await eventuallyIs("a report", () => m.reports.length === 1);
  assert.deepEqual(fingerprints(m.files.text(CA_FILE) ?? ""), fingerprints(both));
  assert.equal(m.files.mode(CA_FILE), 0o640);
  assert.equal(m.files.text(KUBECONFIG), before);
});

test("followNodeTrust() writes nothing when the same CAs are in another order", async () => {
  await using m = await startMachine("file");
  const text = `# first\n${NEW_CA.caPem}# second\n${m.api.ca.caPem}`;
  m.files.entries.set(CA_FILE, { kind: "file", text, mode: 0o640 });
  m.publish(m.api.ca.caPem + NEW_CA.caPem);
  m.start();
  await eventuallyIs("a report", () => m.reports.length === 1);
  assert.equal(m.files.text(CA_FILE), text);
  assert.deepEqual(m.files.calls, []);
});

const MANY = (await Promise.all(Array.from({ length: 101 }, (_, i) => createIssuingCa(NOW, `ca-${i}`))))
  .map(({ caPem }) => caPem).join("");

for (
  const { name, bundle, error } of [
    { name: "no CA", bundle: "", error: /must contain at least one CERTIFICATE PEM block/ },
    { name: "a certificate that is cut off", bundle: NEW_CA.caPem.slice(0, 200), error: /PEM block 1 is malformed/ },
    {
      name: "a key",
      bundle: NEW_CA.caPem + NEW_CA.caPem.replaceAll("CERTIFICATE", "PRIVATE KEY"),
      error: /only CERTIFICATE PEM blocks are allowed/,
    },
    { name: "101 CAs", bundle: MANY, error: /^101 CAs, at most 100 are allowed$/ },
    {
      name: "CAs that do not verify the server",
      bundle: NEW_CA.caPem,
      error: /^it does not verify the server: cannot trust /,
    },
  ]
) {
  for (const kind of ["data", "file"] as const) {
    test(`followNodeTrust() keeps the CAs (${kind}) when the bundle has ${name}`, async () => {
      await using m = await startMachine(kind);
      m.publish(bundle);
      m.start();
      await eventuallyIs("an error", () => m.logger.messages("error").length === 1);
      const [logged] = m.logger.entries.filter(({ level }) => level === "error");
      assert.match(String(logged?.fields["error"]), error);
      assert.deepEqual(m.files.calls, []);
      assert.deepEqual(m.reports, []);

      // A valid bundle is stored afterwards.
      m.publish(m.api.ca.caPem + NEW_CA.caPem);
      await eventuallyIs("a report", () => m.reports.length === 1);
      assert.equal(m.stored.length, 1);
    });
  }
}

test("followNodeTrust() retries when the server presented its old certificate for a while", async () => {
  await using m = await startMachine("data");
  m.publish(m.api.ca.caPem + NEW_CA.caPem);
  m.start();
  await eventuallyIs("trust in both", () => m.stored.length === 1);
  m.publish(NEW_CA.caPem);
  await eventuallyIs("an error", () => m.logger.messages("error").length === 1);
  await m.api.showCertificateOf(NEW_CA);
  // One sleeper is the time limit of its watch, the other its retry.
  await until(() => m.clock.sleepers === 2);
  await m.clock.advance(60_000);
  await eventuallyIs("trust in the new CA alone", () => m.stored.length === 2);
  assert.deepEqual(m.stored[1]?.fingerprints, fingerprints(NEW_CA.caPem));
});

test("followNodeTrust() reads the bundles again soon when the cluster has refused them once", async () => {
  await using m = await startMachine("data");
  m.publish(m.api.ca.caPem);
  m.start();
  await eventuallyIs("a report", () => m.reports.length === 1);
  let refusals = 0;
  const { intercept } = m.api;
  m.api.intercept = (request) => {
    if (request.path.startsWith("/apis/certificates.k8s.io/") && refusals++ === 0) {
      return failure(403, "Forbidden", "no role is known yet");
    }
    return intercept?.(request);
  };
  m.publish(m.api.ca.caPem + NEW_CA.caPem);
  await eventuallyIs("a report of both", () => m.reports.length === 2);
  assert.ok(refusals > 1);
});

test("followNodeTrust() continues after a server has sent malformed bundles", async () => {
  await using m = await startMachine("data");
  const selected = { signerName: SIGNER };
  for (const spec of [selected, { ...selected, trustBundle: 7 }, { ...selected, trustBundle: null }]) {
    const annotations = { "tlsboot/retiring-ca": 7, "tlsboot/renew-from": {}, "tlsboot/renew-by": null };
    m.api.put({ metadata: { name: `b${m.api.objects.size}`, annotations }, spec } as never);
  }
  m.start();
  await eventuallyIs("an error", () => m.logger.messages("error").length === 1);
  for (const name of ["b0", "b1", "b2"]) m.api.remove(name);
  m.publish(m.api.ca.caPem + NEW_CA.caPem);
  await eventuallyIs("a report", () => m.reports.length === 1);
});

test("followNodeTrust() does not replace the certificate of a CA whose key is next to it", async () => {
  await using m = await startMachine("file");
  m.files.entries.set("/node/ca.key", { kind: "file", text: "key", mode: 0o600 });
  m.publish(m.api.ca.caPem + NEW_CA.caPem);
  m.start();
  await eventuallyIs("a warning", () => m.logger.messages("warn").length === 1);
  const [{ fields } = assert.fail()] = m.logger.entries.filter(({ level }) => level === "warn");
  assert.match(String(fields["error"]), /^cannot write the bundle to "\/node\/ca.crt": it is the certificate of/);
  assert.equal(fields["fix"], "copy it, and name the copy in the kubeconfig: cp /node/ca.crt /node/trust.crt");
  assert.deepEqual(m.files.calls, []);
});

for (const kind of ["data", "file"] as const) {
  test(`followNodeTrust() keeps the CAs (${kind}) while the disk is full, and stores the new ones later`, async () => {
    await using m = await startMachine(kind);
    const path = kind === "data" ? KUBECONFIG : CA_FILE;
    const before = m.files.text(path);
    const seen: (string | undefined)[] = [];
    const writeAtomic: FilePort["writeAtomic"] = async (...args) => {
      seen.push(m.files.text(path));
      if (seen.length === 1) throw new AppError("io", "no space left on device");
      await m.files.writeAtomic(...args);
    };
    m.publish(m.api.ca.caPem + NEW_CA.caPem);
    m.start({ ...m.files, writeAtomic });
    await eventuallyIs("a report", () => m.reports.length === 1);
    assert.deepEqual(seen, [before, before]);
    assert.equal(m.logger.messages("warn").length, 1);
    assert.notEqual(m.files.text(path), before);
  });
}

for (
  const { name, answer } of [
    {
      name: "does not serve bundles",
      answer: failure(404, "NotFound", "the server could not find the requested resource"),
    },
    { name: "does not let nodes read them", answer: failure(403, "Forbidden", "forbidden") },
  ]
) {
  test(`followNodeTrust() is silent when the cluster ${name}`, async () => {
    await using m = await startMachine("data");
    m.api.intercept = () => answer;
    m.start();
    await m.api.arrival(/clustertrustbundles/);
    assert.deepEqual([...m.logger.messages("warn"), ...m.logger.messages("error")], []);
    assert.deepEqual(m.files.calls, []);
  });
}

test("followNodeTrust() accepts a cluster without reports, such as one of kube-apiserver", async () => {
  await using m = await startMachine("data");
  m.api.intercept = ({ method }) => method === "POST" ? failure(403, "Forbidden", "forbidden") : undefined;
  m.publish(m.api.ca.caPem + NEW_CA.caPem);
  m.start();
  await m.api.arrival(/^POST .*trustreports/);
  assert.equal(m.stored.length, 1);
  m.publish(m.api.ca.caPem);
  await eventuallyIs("another change", () => m.stored.length === 2);
  assert.deepEqual(m.logger.messages("warn"), []);
});

test("followNodeTrust() passes on the CAs that are being replaced, and reports once more", async () => {
  await using m = await startMachine("data");
  m.publish(m.api.ca.caPem);
  m.start();
  await eventuallyIs("a report", () => m.reports.length === 1);
  assert.equal(m.retirement.current(), undefined);
  const times = { "tlsboot/renew-from": "2026-01-01T00:00:00Z", "tlsboot/renew-by": "2026-01-01T01:00:00Z" };
  m.publish(m.api.ca.caPem, { "tlsboot/retiring-ca": "aa01", ...times });
  await eventuallyIs("another report", () => m.reports.length === 2);
  assert.deepEqual(m.retirement.current()?.keyIds, ["aa01"]);
  m.publish(m.api.ca.caPem);
  await eventuallyIs("no CA that is replaced", () => m.retirement.current() === undefined);
});

test("followNodeTrust() ignores the bundles of an unverified server", async () => {
  await using m = await startMachine("data");
  const insecure = encodeKubeconfig({
    clusters: [{ name: "c", cluster: { server: m.api.server, insecureSkipTlsVerify: true } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
    currentContext: "x",
  });
  m.files.entries.set(KUBECONFIG, { kind: "file", text: insecure, mode: 0o600 });
  m.publish(NEW_CA.caPem, {
    "tlsboot/retiring-ca": "aa01",
    "tlsboot/renew-from": "2026-01-01T00:00:00Z",
    "tlsboot/renew-by": "2026-01-01T01:00:00Z",
  });
  m.start();
  await eventuallyIs("a watch", () => m.api.openWatches === 1);
  assert.equal(m.retirement.current(), undefined);
  assert.deepEqual(m.files.calls, []);
  assert.deepEqual(m.reports, []);
});

for (const kind of ["data", "file"] as const) {
  test(`updateNodeTrust() stores the CAs (${kind}) once, and leaves the old ones when it is killed before its write`, async () => {
    await using m = await startMachine(kind);
    const path = kind === "data" ? KUBECONFIG : CA_FILE;
    const before = m.files.text(path);
    m.publish(m.api.ca.caPem + NEW_CA.caPem);
    await assert.rejects(m.update(createDyingFiles(m.files, 0)), Killed);
    assert.equal(m.files.text(path), before);
    assert.deepEqual(m.reports, []);
    // Killed after its only write, before the report: the next run reports.
    await m.update(createDyingFiles(m.files, 1));
    assert.notEqual(m.files.text(path), before);
    assert.equal(m.reports.length, 1);
    await m.update(createDyingFiles(m.files, 0));
    assert.equal(m.reports.length, 2);
  });
}

test("updateNodeTrust() ends with an error when the CAs cannot be stored, and continues when the cluster has none", async () => {
  await using m = await startMachine("data");
  await m.update();
  m.api.intercept = () => failure(404, "NotFound", "the server could not find the requested resource");
  await m.update();
  m.api.intercept = undefined;
  m.publish(m.api.ca.caPem + NEW_CA.caPem);
  m.files.failOn = /^writeAtomic/;
  await assert.rejects(m.update(), /cannot writeAtomic "\/node\/kubeconfig": no space left on device/);
  assert.deepEqual([...m.logger.messages("warn"), ...m.logger.messages("error")], []);
});
