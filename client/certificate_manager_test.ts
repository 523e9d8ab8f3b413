import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaRetirement, CertificateTemplate } from "../core/machine/renewal_schedule.ts";
import { AppError, type ErrorCode } from "../core/errors.ts";
import { errorFromStatus, unauthorized } from "../core/kube/status/status.ts";
import { findKeyAlgorithm, generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../core/pki/keys/keys.ts";
import { Secret } from "../core/lib/brand.ts";
import {
  CLOCK_JUMPS,
  createFakeClock,
  createSkippingClock,
  type FakeClock,
  until,
} from "../tests/support/fake_clock.ts";
import { encodeBase64 } from "../core/lib/encodings.ts";
import { createIssuingCa } from "../tests/support/issuing_ca.ts";
import { createMemoryFiles, type MemoryFiles } from "../tests/support/memory_files.ts";
import { createMemoryLogger, type MemoryLogger } from "../tests/support/memory_logger.ts";
import {
  createCertificateRequester,
  isServerHealthy,
  runCertificateManager,
  type TemplateHolder,
} from "./certificate_manager.ts";
import { createFixedSource, createHolder, type Holder } from "./keep_fresh.ts";
import { type CredentialStore, openCredentialStore } from "./certificate/credential_store.ts";
import { getKubeletUsages } from "../core/machine/node_name.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../core/kube/kinds/constants.ts";
import { startFakeApi } from "../tests/support/fake_api.ts";
import { createSeededRandom } from "../tests/support/seeded_random.ts";
import { createTlsTransport } from "./transport/tls_transport.ts";

const START = new Date("2026-01-01T00:00:00Z");
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const TEMPLATE: CertificateTemplate = {
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  dnsNames: [],
  ipAddresses: [],
};
const ca = createIssuingCa(START);

interface Fixture extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: CredentialStore;
  readonly logger: MemoryLogger;
  /** The credentials of each request, and its time in seconds from the start. */
  readonly requests: string[];
  /** The template of each request. */
  readonly templates: CertificateTemplate[];
  readonly files: MemoryFiles;
  readonly template: TemplateHolder;
  readonly retirement: Holder<CaRetirement | undefined>;
  readonly keys: PrivateKey[];
  /** Resolves with the error that ended the manager. */
  readonly ended: Promise<unknown>;
  /** Waits until this number of certificates were renewed and the manager sleeps. */
  renewed(count: number): Promise<void>;
}

interface FixtureOptions {
  /** True when a certificate of ten hours is stored. */
  readonly initial: boolean;
  /** The errors with which the first requests fail. */
  readonly failure?: AppError;
  readonly failures?: number;
  readonly purpose?: "client" | "serving";
  /** The template at the start. Default: TEMPLATE. */
  readonly template?: CertificateTemplate | "none";
  /** True when requests hang until they are aborted. */
  readonly hangs?: boolean;
  /** True when the stored pair cannot be read. */
  readonly isBroken?: boolean;
  readonly keyAlgorithm?: KeyAlgorithm;
  /** True when pauses after failures wait for the test too. */
  readonly isPatient?: boolean;
  /** Returns the kept key, as production always does. Default: none is kept. */
  readonly keepKey?: () => Promise<PrivateKey>;
  readonly onRenewed?: () => void;
}

/** Runs a manager whose pauses after failures end at once; longer sleeps wait for the test. */
async function fixture(options: FixtureOptions): Promise<Fixture> {
  const clock = createFakeClock(START);
  const files = createMemoryFiles();
  if (options.isBroken === true) {
    files.entries.set("/pki/kubelet-client-1.pem", { kind: "file", text: "garbage", mode: 0o600 });
    files.entries.set("/pki/kubelet-client-current.pem", { kind: "symlink", target: "/pki/kubelet-client-1.pem" });
  }
  const store = await openCredentialStore({ files, clock, certDir: "/pki", prefix: "kubelet-client" });
  const logger = createMemoryLogger();
  const abort = new AbortController();
  const requests: string[] = [];
  const templates: CertificateTemplate[] = [];
  const keys: PrivateKey[] = [];
  const template = createHolder(options.template === "none" ? undefined : options.template ?? TEMPLATE);
  const retirement = createHolder<CaRetirement | undefined>(undefined);
  async function issue(key: PrivateKey, wanted: CertificateTemplate): Promise<string> {
    const now = clock.now();
    const { commonName, organizations, dnsNames, ipAddresses } = wanted;
    return await (await ca).issue({
      publicKeyDer: key.publicKeyDer(),
      subject: { commonName, organizations },
      dnsNames,
      ipAddresses,
      notBefore: now,
      notAfter: new Date(now.getTime() + 10 * HOUR),
    });
  }
  if (options.initial) {
    const key = await generatePrivateKey("ecdsa-p256");
    await store.update(await issue(key, TEMPLATE), new Secret(key.toPem()));
  }
  const ended = runCertificateManager({
    store,
    purpose: options.purpose ?? "client",
    keyAlgorithm: options.keyAlgorithm,
    ...(options.keepKey === undefined ? {} : { keepKey: options.keepKey }),
    ...(options.onRenewed === undefined ? {} : { onRenewed: options.onRenewed }),
    template,
    retirement,
    clock: options.isPatient === true ? clock : createSkippingClock(clock, 0, MINUTE),
    random: { float: () => 0.5, bytes: (length) => new Uint8Array(length) },
    logger,
    requestCertificate(key, wanted, credentials, signal) {
      templates.push(wanted);
      requests.push(`${credentials} ${(clock.now().getTime() - START.getTime()) / 1_000}`);
      keys.push(key);
      const isRefused = options.failure !== undefined && requests.length <= (options.failures ?? Infinity);
      if (options.hangs === true && wanted === TEMPLATE) {
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }
      return isRefused ? Promise.reject(options.failure) : issue(key, wanted);
    },
  }, abort.signal).catch((error: unknown) => error);
  return {
    clock,
    store,
    logger,
    requests,
    templates,
    files,
    template,
    retirement,
    keys,
    ended,
    renewed: (count) =>
      until(() => {
        const done = logger.messages().filter((message) => message === "certificate renewed").length;
        return done === count && clock.sleepers > 0;
      }),
    async [Symbol.asyncDispose]() {
      abort.abort(new Error("over"));
      await ended;
    },
  };
}

const DOWN = new AppError("unreachable", "cannot reach the server", { retryable: true });

test("runCertificateManager() renews at the deadline, as itself, with a new key each time", async () => {
  await using f = await fixture({ initial: true });
  const first = await f.store.current();
  await f.renewed(0);
  await f.clock.advance(8 * HOUR - 1);
  assert.deepEqual(f.requests, []);
  await f.clock.advance(1);
  await f.renewed(1);
  await f.clock.advance(8 * HOUR);
  await f.renewed(2);
  assert.deepEqual(f.requests, ["current 28800", "current 57600"]);
  assert.notEqual(first?.leaf.serialNumber, (await f.store.current())?.leaf.serialNumber);
  assert.equal(new Set(f.keys.map((key) => key.toPem())).size, 2);
});

test("runCertificateManager() reports a failure after a renewal without repeating the renewal", async () => {
  let calls = 0;
  const onRenewed = () => {
    calls++;
    throw new AppError("io", "no space left on device");
  };
  await using f = await fixture({ initial: true, onRenewed });
  await f.renewed(0);
  await f.clock.advance(8 * HOUR);
  await f.renewed(1);
  assert.equal(calls, 1);
  assert.deepEqual(f.logger.messages("error"), ["the certificate is renewed, but a later step failed"]);
  assert.deepEqual(f.logger.messages("warn"), []);
  await f.clock.advance(8 * HOUR);
  await f.renewed(2);
});

test("runCertificateManager() uses the kept key for the bootstrap credentials only", async () => {
  const kept = await generatePrivateKey("ecdsa-p256");
  await using f = await fixture({ initial: false, keepKey: () => Promise.resolve(kept) });
  await f.renewed(1);
  await f.clock.advance(8 * HOUR);
  await f.renewed(2);
  assert.deepEqual(f.requests, ["bootstrap 0", "current 28800"]);
  assert.deepEqual(f.keys.map((key) => key.toPem() === kept.toPem()), [true, false]);
});

test("runCertificateManager() makes new keys of the given algorithm", async () => {
  await using f = await fixture({ initial: true, keyAlgorithm: "ecdsa-p384" });
  await f.renewed(0);
  await f.clock.advance(8 * HOUR);
  await f.renewed(1);
  assert.deepEqual(f.keys.map(findKeyAlgorithm), ["ecdsa-p384"]);
});

test("runCertificateManager() requests at once with the bootstrap credentials when there is no certificate", async () => {
  await using f = await fixture({ initial: false });
  await f.renewed(1);
  assert.deepEqual(f.requests, ["bootstrap 0"]);
  assert.equal((await f.store.current())?.leaf.subject.commonName, "system:node:n1");
});

test("runCertificateManager() tries again with growing pauses, then every 32 s", async () => {
  await using f = await fixture({ initial: false, failure: DOWN, failures: 6 });
  await f.renewed(1);
  // 2, 4, 8 and 16 s, each longer by half of a tenth.
  assert.deepEqual(f.requests.map((request) => request.split(" ")[1]), [
    "0",
    "2.1",
    "6.3",
    "14.7",
    "31.5",
    "63.5",
    "95.5",
  ]);
  assert.deepEqual(f.logger.messages("error"), ["Reached backoff limit, still unable to rotate certs"]);
});

for (const { name, ms } of CLOCK_JUMPS.filter((jump) => jump.ms < 0)) {
  test(`runCertificateManager() keeps its pause when the clock is set ${name} between two attempts`, async () => {
    await using f = await fixture({ initial: false, failure: DOWN, failures: 1, isPatient: true });
    await until(() => f.requests.length === 1 && f.clock.sleepers > 0);
    f.clock.set(ms);
    await f.clock.advance(3_000);
    await until(() => f.requests.length === 2);
  });
}

test("runCertificateManager() uses the bootstrap credentials once its certificate has expired", async () => {
  await using f = await fixture({ initial: true });
  await f.renewed(0);
  f.clock.jump(11 * HOUR);
  await f.clock.advance(0);
  await f.renewed(1);
  assert.deepEqual(f.requests, ["bootstrap 39600"]);
});

test("runCertificateManager() ends after five minutes without a certificate while the server answers", async () => {
  await using f = await fixture({ initial: false, failure: unauthorized() });
  const end = await f.ended;
  assert.ok(end instanceof AppError);
  assert.equal(end.code, "unauthorized");
  assert.equal(end.message, "No valid client certificate is found and the server is responsive, exiting.");
  const waitedMs = f.clock.now().getTime() - START.getTime();
  assert.ok(waitedMs >= 5 * MINUTE && waitedMs < 6 * MINUTE, String(waitedMs));
});

test("runCertificateManager() keeps trying while the server is down", async () => {
  await using f = await fixture({ initial: false, failure: DOWN, failures: 40 });
  await f.renewed(1);
  assert.ok(f.clock.now().getTime() - START.getTime() > 15 * MINUTE);
});

test("runCertificateManager() waits another five minutes when its certificate expired while the machine slept", async () => {
  await using f = await fixture({ initial: true, failure: unauthorized() });
  await f.renewed(0);
  f.clock.jump(30 * HOUR);
  await f.clock.advance(0);
  await f.ended;
  const triedMs = f.clock.now().getTime() - START.getTime() - 30 * HOUR;
  assert.ok(triedMs >= 5 * MINUTE && triedMs < 6 * MINUTE, String(triedMs));
});

test("runCertificateManager() ends at once when its certificate has expired and there are no bootstrap credentials", async () => {
  await using f = await fixture({ initial: false, failure: coded("credentials_missing") });
  const end = await f.ended;
  assert.ok(end instanceof AppError && end.code === "credentials_missing");
  assert.equal(f.requests.length, 1);
});

test("runCertificateManager() does not end when there is no serving certificate", async () => {
  await using f = await fixture({ initial: false, failure: unauthorized(), failures: 40, purpose: "serving" });
  await f.renewed(1);
  assert.ok(f.clock.now().getTime() - START.getTime() > 15 * MINUTE);
});

for (const failOn of [/^writeAtomic/, /^symlink/, /^rename/]) {
  test(`runCertificateManager() stores an issued certificate once the disk accepts it (${failOn.source})`, async () => {
    await using f = await fixture({ initial: true });
    await f.renewed(0);
    const first = await f.store.current();
    f.files.failOn = failOn;
    f.clock.jump(8 * HOUR);
    await f.clock.advance(0);
    await until(() => f.logger.messages("warn").length > 9);
    assert.equal(f.requests.length, 1, "one request");
    assert.equal((await f.store.current())?.leaf.serialNumber, first?.leaf.serialNumber);
    f.files.failOn = undefined;
    await f.renewed(1);
    assert.equal(f.requests.length, 1);
    assert.notEqual((await f.store.current())?.leaf.serialNumber, first?.leaf.serialNumber);
  });
}

const WIDER: CertificateTemplate = { ...TEMPLATE, ipAddresses: ["192.0.2.1"] };

test("runCertificateManager() requests another template at once while it sleeps", async () => {
  await using f = await fixture({ initial: true });
  await f.renewed(0);
  f.template.set(WIDER);
  await f.renewed(1);
  assert.deepEqual(f.templates, [WIDER]);
  assert.deepEqual((await f.store.current())?.leaf.ipAddresses, ["192.0.2.1"]);
});

test("runCertificateManager() abandons a request for an outdated template", async () => {
  await using f = await fixture({ initial: false, hangs: true });
  await until(() => f.requests.length === 1);
  f.template.set(WIDER);
  await f.renewed(1);
  assert.deepEqual(f.templates, [TEMPLATE, WIDER]);
});

test("runCertificateManager() renews early for a CA that is being replaced, once when the signer still uses it", async () => {
  await using f = await fixture({ initial: true });
  await f.renewed(0);
  const keyId = (await f.store.current())?.leaf.authorityKeyId ?? assert.fail();
  const [begin, renewAt] = [new Date(START.getTime() + HOUR), new Date(START.getTime() + 3 * HOUR)];
  f.retirement.set({ keyIds: ["00"], begin, renewAt: begin });
  await f.clock.advance(2 * HOUR);
  assert.deepEqual(f.requests, []);
  f.retirement.set({ keyIds: ["00", keyId], begin, renewAt });
  await until(() => f.clock.sleepers > 0);
  await f.clock.advance(HOUR);
  await f.renewed(1);
  await f.clock.advance(7 * HOUR);
  assert.deepEqual(f.requests, ["current 10800"]);
  await f.clock.advance(HOUR);
  await f.renewed(2);
  assert.equal(f.requests.length, 2);
});

test("runCertificateManager() waits while there is no template", async () => {
  await using f = await fixture({ initial: false, template: "none", purpose: "serving" });
  await f.clock.advance(HOUR);
  assert.deepEqual(f.requests, []);
  f.template.set(WIDER);
  await f.renewed(1);
  assert.deepEqual(f.templates, [WIDER]);
});

test("runCertificateManager() replaces a serving pair that is broken", async () => {
  await using f = await fixture({ initial: false, purpose: "serving", isBroken: true });
  await f.renewed(1);
  assert.equal((await f.store.current())?.leaf.subject.commonName, "system:node:n1");
});

test("runCertificateManager() refuses a corrupt store", async () => {
  const files = createMemoryFiles({ "/pki/kubelet-client-current.pem": "garbage" });
  const clock = createFakeClock(START);
  const store = await openCredentialStore({ files, clock, certDir: "/pki", prefix: "kubelet-client" });
  const manager = runCertificateManager({
    purpose: "client",
    store,
    template: createFixedSource(TEMPLATE),
    clock,
    random: { float: () => 0, bytes: (length) => new Uint8Array(length) },
    logger: createMemoryLogger(),
    requestCertificate: () => Promise.reject(new Error("not asked")),
  }, new AbortController().signal);
  await assert.rejects(manager, (error) => error instanceof AppError && error.code === "pki_invalid");
});

// The cases of client-go `util/certificate/certificate_manager.go`, updateServerError.
for (
  const { name, error, want } of [
    { name: "401", error: unauthorized(), want: true },
    { name: "403", error: errorFromStatus(403, status(403, "Forbidden")), want: true },
    { name: "404 of a Status", error: errorFromStatus(404, status(404, "NotFound")), want: true },
    { name: "404 of a proxy", error: errorFromStatus(404, "page not found"), want: false },
    { name: "500", error: errorFromStatus(500, status(500, "InternalError")), want: false },
    { name: "409", error: errorFromStatus(409, status(409, "Conflict")), want: false },
    { name: "a refused connection", error: coded("unreachable"), want: false },
    { name: "a denial", error: coded("csr_denied"), want: undefined },
    { name: "no approval in time", error: coded("timeout"), want: undefined },
  ]
) {
  test(`isServerHealthy() is ${want} after ${name}`, () => assert.equal(isServerHealthy(error), want));
}

test("isServerHealthy() finds a proxy's page among the causes of an error", () => {
  const page = errorFromStatus(404, "page not found");
  assert.equal(isServerHealthy(new AppError("not_found", "cannot create: …", { cause: page })), false);
});

function status(code: number, reason: string): unknown {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason, code };
}

function coded(code: ErrorCode): AppError {
  return new AppError(code, "x");
}

const NOW = new Date(Math.floor(Date.now() / 1000) * 1000);
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const template = {
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  dnsNames: [],
  ipAddresses: [],
};

const CLIENT = {
  signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  usages: (algorithm: PrivateKey["algorithm"]) => getKubeletUsages("renewal", algorithm),
};

test("a renewal posts a generated name and the usages of a kubelet in their order, and returns the certificate", async () => {
  await using api = await startFakeApi({ now: NOW });
  const key = await generatePrivateKey("ecdsa-p256");
  const { commonName, organizations } = template;
  const subject = { commonName, organizations };
  const pem = await api.ca.issue({ publicKeyDer: key.publicKeyDer(), subject });
  const condition = { type: "Approved", status: "True", lastUpdateTime: null, lastTransitionTime: null };
  api.onCreate = (csr) => void api.put({ ...csr, status: { conditions: [condition], certificate: encodeBase64(pem) } });
  const asked: string[] = [];
  const request = createCertificateRequester({
    ...CLIENT,
    connect(credentials) {
      asked.push(credentials);
      return Promise.resolve(createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" }));
    },
    clock: createFakeClock(NOW),
    random: createSeededRandom(),
    logger: createMemoryLogger(),
  });
  assert.equal(await request(key, template, "bootstrap", new AbortController().signal), pem);
  assert.deepEqual(asked, ["bootstrap"]);
  const csr = api.received[0]?.body as CertificateSigningRequest;
  assert.deepEqual(csr.metadata, { generateName: "csr-" });
  assert.deepEqual(csr.spec.usages, ["digital signature", "client auth"]);
  assert.equal(csr.spec.signerName, "kubernetes.io/kube-apiserver-client-kubelet");
  assert.equal(api.requests[0], `POST ${CSRS}`);
});

test("a renewal is given up after fifteen minutes", async () => {
  await using api = await startFakeApi({ now: NOW });
  const clock = createFakeClock(NOW);
  const request = createCertificateRequester({
    ...CLIENT,
    connect: () => Promise.resolve(createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" })),
    clock,
    random: createSeededRandom(),
    logger: createMemoryLogger(),
  });
  const key = await generatePrivateKey("ecdsa-p256");
  const renewal = assert.rejects(
    request(key, template, "current", new AbortController().signal),
    (error) => error instanceof AppError && error.code === "timeout",
  );
  await api.arrival(/watch=true/);
  await clock.advance(15 * 60_000);
  await renewal;
});
