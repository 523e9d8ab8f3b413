import assert from "node:assert/strict";
import { test } from "node:test";
import { createServingTemplate, parseNodeName } from "../core/machine/node_name.ts";
import { isAppError } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../core/kube/meta.ts";
import { condition, HOUR_MS, NOW, parseRequestOrThrow } from "../tests/support/bootstrap_fixture.ts";
import { type FakeApi, startFakeApi } from "../tests/support/fake_api.ts";
import { createFakeClock, type FakeClock } from "../tests/support/fake_clock.ts";
import { encodeBase64 } from "../core/lib/encodings.ts";
import { createMemoryFiles, type MemoryFiles } from "../tests/support/memory_files.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { createSeededRandom } from "../tests/support/seeded_random.ts";
import type { ServingNames } from "../core/pki/authority/serving_certificate.ts";
import {
  bootstrapServing,
  debounce,
  type Debounced,
  followServingAddresses,
  type ServingBootstrapOptions,
  type ServingOutcome,
  type ServingProgress,
} from "./serving.ts";
import { createTlsTransport } from "./transport/tls_transport.ts";
import { createHolder } from "./keep_fresh.ts";
import type { TemplateHolder } from "./certificate_manager.ts";

const NAME = parseNodeName("n1");
assert.ok(NAME.ok);
const NAMES = { dnsNames: ["n1"], ipAddresses: ["192.0.2.1"] };
const TEMPLATE = createServingTemplate(NAME.value, NAMES);
assert.ok(TEMPLATE);
const CURRENT = "/pki/kubelet-server-current.pem";
const KEY = "/pki/kubelet-server.key.tmp";

interface Fixture extends AsyncDisposable {
  readonly api: FakeApi;
  readonly clock: FakeClock;
  readonly files: MemoryFiles;
  readonly progress: ServingProgress[];
  run(edit?: Partial<ServingBootstrapOptions>): Promise<ServingOutcome>;
  /** Returns the last request that was made. */
  request(): CertificateSigningRequest;
}

async function fixture(): Promise<Fixture> {
  const api = await startFakeApi({ now: NOW });
  const clock = createFakeClock(NOW);
  const files = createMemoryFiles();
  const progress: ServingProgress[] = [];
  api.onCreate = (csr) => issue(api, csr, clock.now());
  const options: ServingBootstrapOptions = {
    template: TEMPLATE!,
    certDir: "/pki",
    connect: () => Promise.resolve(createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" })),
    files,
    clock,
    random: createSeededRandom(),
    logger: createMemoryLogger(),
    onProgress: (event) => progress.push(event),
    waitSeconds: 3600,
  };
  return {
    api,
    clock,
    files,
    progress,
    run: (edit) => bootstrapServing({ ...options, ...edit }, new AbortController().signal),
    request: () => api.received.findLast(({ method }) => method === "POST")?.body as CertificateSigningRequest,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

async function issue(api: FakeApi, object: KubeObject, now: Date, names = NAMES): Promise<void> {
  const csr = object as CertificateSigningRequest;
  const { publicKeyDer, subject } = parseRequestOrThrow(csr);
  const notAfter = new Date(now.getTime() + 10 * HOUR_MS);
  const usages = ["digital signature", "server auth"];
  const pem = await api.ca.issue({ publicKeyDer, subject, ...names, notBefore: now, notAfter, usages });
  api.put({ ...csr, status: { conditions: [condition("Approved", "Test")], certificate: encodeBase64(pem) } });
}

test("bootstrapServing() requests kubelet's subject, usages and names, and keeps kubelet's files", async () => {
  await using f = await fixture();
  const outcome = await f.run({ expirationSeconds: 600, keyAlgorithm: "ecdsa-p384" });
  assert.equal(outcome.kind, "issued");
  assert.equal(outcome.certificatePath, CURRENT);
  const csr = f.request();
  assert.equal(csr.spec.signerName, "kubernetes.io/kubelet-serving");
  assert.deepEqual(csr.spec.usages, ["digital signature", "server auth"]);
  assert.equal(csr.spec.expirationSeconds, 600);
  const request = parseRequestOrThrow(csr);
  assert.equal(request.subject.commonName, "system:node:n1");
  assert.deepEqual(request.subject.organizations, ["system:nodes"]);
  assert.deepEqual([request.dnsNames, request.ipAddresses], [["n1"], ["192.0.2.1"]]);
  assert.equal(request.keyBits, 384);
  assert.equal(f.files.mode(CURRENT), 0o600);
  assert.equal(f.files.entries.get(CURRENT)?.kind, "symlink");
  assert.match(f.files.text(CURRENT) ?? "", /^-----BEGIN CERTIFICATE-----[\s\S]+-----BEGIN EC PRIVATE KEY-----/);
  assert.equal(f.files.mode(KEY), undefined, "the temporary key is gone");
});

test("bootstrapServing() does nothing with a certificate for these names", async () => {
  await using f = await fixture();
  await f.run();
  const before = f.api.requests.length;
  assert.equal((await f.run()).kind, "alreadyValid");
  assert.equal(f.api.requests.length, before);
});

for (
  const { name, spoil, reason } of [
    { name: "has expired", spoil: (f: Fixture) => f.clock.jump(11 * HOUR_MS), reason: /^the certificate expired at / },
    { name: "is overdue", spoil: (f: Fixture) => f.clock.jump(9.5 * HOUR_MS), reason: /^its renewal is overdue$/ },
    {
      name: "cannot be read",
      spoil: (f: Fixture) => void f.files.entries.set(CURRENT, { kind: "symlink", target: "/pki/broken" }),
      reason: /^could not convert data from /,
    },
  ]
) {
  test(`bootstrapServing() sends a new request, with a new key, when the certificate ${name}`, async () => {
    await using f = await fixture();
    f.files.entries.set("/pki/broken", { kind: "file", text: "garbage", mode: 0o600 });
    const first = await f.run();
    const firstName = f.request().metadata.name;
    spoil(f);
    f.progress.length = 0;
    const second = await f.run();
    assert.equal(second.kind, "issued");
    assert.notEqual(second.pair.keyPem.reveal(), first.pair.keyPem.reveal());
    assert.notEqual(f.request().metadata.name, firstName);
    const [event] = f.progress;
    assert.ok(event?.kind === "servingOutdated");
    assert.match(event.reason, reason);
  });
}

test("bootstrapServing() sends a new request for other names, and keeps the old pair until it has them", async () => {
  await using f = await fixture();
  const first = await f.run();
  f.api.onCreate = undefined;
  const wider = { ...TEMPLATE!, ipAddresses: ["192.0.2.1", "192.0.2.2"] };
  const attempt = assert.rejects(f.run({ template: wider, waitSeconds: 60 }), (error) => isAppError(error, "timeout"));
  await f.api.arrival(/watch=true/, f.api.requests.length);
  await f.clock.advance(60_000);
  await attempt;
  assert.ok(f.files.text(CURRENT)?.startsWith(first.pair.certificatePem));
  assert.ok(f.files.text(KEY), "the key waits for its certificate");
});

test("bootstrapServing() adopts its request after a late approval", async () => {
  await using f = await fixture();
  f.api.onCreate = undefined;
  const first = assert.rejects(f.run({ waitSeconds: 60 }), (error) => isAppError(error, "timeout"));
  await f.api.arrival(/watch=true/);
  await f.clock.advance(60_000);
  await first;
  const csr = [...f.api.objects.values()][0];
  assert.ok(csr);
  await issue(f.api, csr, f.clock.now());
  assert.equal((await f.run()).kind, "issued");
  assert.equal(f.api.objects.size, 1);
});

test("bootstrapServing() does not reuse the spent key of a run that ended before removing it", async () => {
  await using f = await fixture();
  await f.run();
  const spent = f.files.text(CURRENT)?.replace(/^[\s\S]*-----END CERTIFICATE-----\n/, "") ?? "";
  f.files.entries.set(KEY, { kind: "file", text: spent, mode: 0o600 });
  f.clock.jump(11 * HOUR_MS);
  assert.equal((await f.run()).kind, "issued");
  assert.ok(!f.files.text(CURRENT)?.includes(spent));
});

test("bootstrapServing() refuses a certificate that lacks a name", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => issue(f.api, csr, NOW, { dnsNames: ["n1"], ipAddresses: [] });
  await assert.rejects(
    f.run(),
    (error) => isAppError(error, "csr_failed") && /it lacks 192\.0\.2\.1$/.test(error.message),
  );
  assert.equal(f.files.entries.get(CURRENT), undefined);
});

const nodeName = NAME.value;
const SECOND = 1_000;

function names(...ipAddresses: string[]): ServingNames {
  return { dnsNames: ["n1"], ipAddresses };
}

interface Following extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly template: TemplateHolder;
  set(names: ServingNames): void;
}

function follow(initial: ServingNames): Following {
  const clock = createFakeClock();
  const template = createHolder(createServingTemplate(nodeName, initial));
  const abort = new AbortController();
  let now = initial;
  const readNames = () => Promise.resolve(now);
  const logger = createMemoryLogger();
  const ended = followServingAddresses({ nodeName, readNames, template, clock, logger }, abort.signal).catch(() => {});
  return {
    clock,
    template,
    set: (next) => void (now = next),
    async [Symbol.asyncDispose]() {
      abort.abort();
      await ended;
    },
  };
}

test("followServingAddresses() uses another address once it has lasted", async () => {
  await using f = follow(names("10.0.0.1"));
  await f.clock.advance(60 * SECOND);
  const change = f.template.changed();
  f.set(names("10.0.0.2"));
  await f.clock.advance(30 * SECOND);
  assert.equal(change.aborted, false);
  await f.clock.advance(20 * SECOND);
  assert.equal(change.aborted, true);
  assert.deepEqual(f.template.current()?.ipAddresses, ["10.0.0.2"]);
});

test("followServingAddresses() ignores a short-lived address and a network outage", async () => {
  await using f = follow(names("10.0.0.1"));
  const change = f.template.changed();
  for (const seen of [names("10.0.0.2"), names("10.0.0.1"), names(), names("10.0.0.2"), names("10.0.0.1")]) {
    f.set(seen);
    await f.clock.advance(20 * SECOND);
  }
  f.set(names());
  await f.clock.advance(3600 * SECOND);
  assert.equal(change.aborted, false);
});

test("followServingAddresses() uses the first address at once", async () => {
  await using f = follow(names());
  await f.clock.advance(60 * SECOND);
  assert.equal(f.template.current(), undefined);
  f.set(names("10.0.0.1"));
  await f.clock.advance(10 * SECOND);
  assert.deepEqual(f.template.current()?.ipAddresses, ["10.0.0.1"]);
});

const RULES = { quietMs: 30_000, isEqual: (a: string, b: string) => a === b };

for (
  const { name, seen, want } of [
    {
      name: "a change that lasts is settled after the quiet time",
      seen: [[0, "b"], [10, "b"], [29, "b"], [30, "b"]],
      want: "aaab",
    },
    {
      name: "a change that reverts is not settled",
      seen: [[0, "b"], [10, "a"], [20, "b"], [40, "b"], [50, "b"]],
      want: "aaaab",
    },
    { name: "another change restarts the quiet time", seen: [[0, "b"], [20, "c"], [40, "c"], [50, "c"]], want: "aaac" },
    { name: "nothing happens without a change", seen: [[0, "a"], [99, "a"]], want: "aa" },
  ] as const
) {
  test(`debounce(): ${name}`, () => {
    let state: Debounced<string> = { settled: "a" };
    const settled = seen.map(([seconds, value]) => {
      state = debounce(state, value, seconds * 1_000, RULES);
      return state.settled;
    });
    assert.equal(settled.join(""), want);
  });
}
