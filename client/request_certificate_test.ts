import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { isAppError } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../core/kube/meta.ts";
import { generatePrivateKey, parsePrivateKey, publicKeysEqual } from "../core/pki/keys/keys.ts";
import { condition, HOUR_MS, NOW, parseRequestOrThrow } from "../tests/support/bootstrap_fixture.ts";
import { createDyingFiles, Killed } from "../tests/support/failing_files.ts";
import { type FakeApi, startFakeApi } from "../tests/support/fake_api.ts";
import { createFakeClock, type FakeClock } from "../tests/support/fake_clock.ts";
import { encodeBase64 } from "../core/lib/encodings.ts";
import type { TestCertificate } from "../tests/support/issuing_ca.ts";
import { createMemoryLogger, type MemoryLogger } from "../tests/support/memory_logger.ts";
import { createSeededRandom } from "../tests/support/seeded_random.ts";
import { createTempFolder, type TempFolder } from "../tests/support/temp.ts";
import { createFilePort } from "./files.ts";
import { openPairFolder } from "./certificate/pair_folder.ts";
import {
  requestCertificate,
  type RequestCertificateOptions,
  type RequestOutcome,
  type RequestProgress,
  RequestRefusedError,
} from "./request_certificate.ts";
import { createTlsTransport } from "./transport/tls_transport.ts";

interface Fixture extends AsyncDisposable {
  readonly api: FakeApi;
  readonly clock: FakeClock;
  readonly logger: MemoryLogger;
  readonly temp: TempFolder;
  readonly progress: RequestProgress[];
  /** Requests a serving certificate for `web`. */
  run(edit?: Partial<RequestCertificateOptions>): Promise<RequestOutcome>;
  /** Reads a file in the folder; undefined when there is none. */
  text(name: string): Promise<string | undefined>;
}

const files = createFilePort();
const names = { dnsNames: ["web.example.com"], ipAddresses: ["10.0.0.7"], uris: [], emailAddresses: [] };

async function fixture(): Promise<Fixture> {
  const api = await startFakeApi({ now: NOW });
  const clock = createFakeClock(NOW);
  const logger = createMemoryLogger();
  const temp = await createTempFolder();
  const progress: RequestProgress[] = [];
  return {
    api,
    clock,
    logger,
    temp,
    progress,
    text: (name) => files.readText(temp.join("web", name)),
    async run(edit = {}) {
      const port = edit.files ?? files;
      await using transport = createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "test" });
      return await requestCertificate({
        target: openPairFolder(temp.join("web"), port),
        signerName: "example.com/web",
        subject: { commonName: "web" },
        names,
        key: "ecdsa-p256",
        renewal: { isForced: false },
        timeoutSeconds: 60,
        transport,
        files: port,
        clock,
        random: createSeededRandom(),
        logger,
        onProgress: (event) => progress.push(event),
        ...edit,
      }, new AbortController().signal);
    },
    async [Symbol.asyncDispose]() {
      await temp[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

/** Approves and issues the request; an edit changes the certificate. */
async function issue(api: FakeApi, object: KubeObject, edit: Partial<TestCertificate> = {}): Promise<void> {
  const csr = object as CertificateSigningRequest;
  const { publicKeyDer, subject, dnsNames, ipAddresses } = parseRequestOrThrow(csr);
  const usages = csr.spec.usages ?? [];
  const pem = await api.ca.issue({ publicKeyDer, subject, dnsNames, ipAddresses, usages, ...edit });
  api.put({ ...csr, status: { conditions: [condition("Approved", "Test")], certificate: encodeBase64(pem) } });
}

function posted(api: FakeApi): readonly CertificateSigningRequest[] {
  return api.received.filter(({ method }) => method === "POST").map(({ body }) => body as CertificateSigningRequest);
}

test("requestCertificate() stores a key, requests the right usages, checks and stores the certificate, and removes the pending key", async () => {
  await using f = await fixture();
  let waiting: string | undefined;
  f.api.onCreate = async (csr) => {
    waiting = await f.text("tls.key.new");
    await issue(f.api, csr);
  };
  const outcome = await f.run({ expirationSeconds: 3600 });
  assert.ok(outcome.kind === "issued" && !outcome.submitted.adopted);
  assert.match(waiting ?? "", /^-----BEGIN EC PRIVATE KEY-----/, "the key was on disk before the request was sent");
  assert.equal(await f.text("tls.key"), waiting);
  assert.equal(await f.text("tls.key.new"), undefined);
  const [csr] = posted(f.api);
  assert.match(csr?.metadata.name ?? "", /^web-[0-9a-f]{20}$/);
  assert.deepEqual(csr?.spec.usages, ["digital signature", "server auth"]);
  assert.equal(csr?.spec.expirationSeconds, 3600);
  assert.deepEqual(parseRequestOrThrow(csr ?? assert.fail()).ipAddresses, ["10.0.0.7"]);
  // The watch may see the request before it is approved and before it is issued.
  const kinds = f.progress.map(({ kind }) => kind).filter((kind) => kind !== "pending" && kind !== "approved");
  assert.deepEqual(kinds, ["keyKept", "asking", "submitted", "issued"]);
  assert.ok(!JSON.stringify(f.logger.entries).includes("PRIVATE KEY"));
});

test("requestCertificate() without waiting leaves the request pending, and adopts it later", async () => {
  await using f = await fixture();
  const first = await f.run({ timeoutSeconds: 0 });
  assert.ok(first.kind === "pending");
  const key = await f.text("tls.key.new");
  const again = await f.run({ timeoutSeconds: 0 });
  assert.ok(again.kind === "pending" && again.submitted.adopted);
  await issue(f.api, f.api.objects.get(first.submitted.name) ?? assert.fail());
  const last = await f.run({ timeoutSeconds: 0 });
  assert.ok(last.kind === "issued" && last.submitted.uid === first.submitted.uid);
  assert.equal(await f.text("tls.key"), key);
  assert.equal(f.api.objects.size, 1);
});

test("requestCertificate() killed at any moment is finished by the next run, with one request", async () => {
  let isKilled = true;
  for (let changes = 0; isKilled; changes++) {
    await using f = await fixture();
    f.api.onCreate = (csr) => issue(f.api, csr);
    isKilled = await f.run({ files: createDyingFiles(files, changes) }).then(() => false, (error: unknown) => {
      assert.ok(error instanceof Killed, String(error));
      return true;
    });
    const outcome = await f.run({ renewal: { isForced: false, renewBeforeMs: HOUR_MS } });
    assert.ok(outcome.kind !== "pending");
    assert.equal(f.api.objects.size, 1, `one request after ${changes} changes`);
    assert.equal(await f.text("tls.key.new"), undefined);
    const [certificate, key] = [await f.text("tls.crt"), parsePrivateKey(await f.text("tls.key") ?? "")];
    assert.ok(key.ok);
    const leaf = outcome.kind === "kept" ? outcome.leaf : outcome.pair.leaf;
    assert.ok(certificate !== undefined && publicKeysEqual(leaf.publicKeyDer, key.value.publicKeyDer()));
  }
});

test("requestCertificate() refuses or keeps an existing certificate, and renews it in time with a new key", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => issue(f.api, csr);
  await f.run();
  const key = await f.text("tls.key");
  await assert.rejects(
    f.run(),
    (error) => isAppError(error, "file_exists") && /the setting renewBefore/.test(error.hint ?? ""),
  );
  const renewal = { isForced: false, renewBeforeMs: HOUR_MS };
  assert.equal((await f.run({ renewal })).kind, "kept");
  assert.equal(posted(f.api).length, 1);
  await f.clock.advance(23.5 * HOUR_MS);
  f.api.onCreate = (csr) => issue(f.api, csr, { notAfter: new Date(NOW.getTime() + 48 * HOUR_MS) });
  assert.equal((await f.run({ renewal })).kind, "issued");
  assert.notEqual(await f.text("tls.key"), key);
  assert.notEqual(posted(f.api)[0]?.metadata.name, posted(f.api)[1]?.metadata.name);
});

for (
  const { name, edit } of [
    { name: "another name is requested", edit: { names: { ...names, dnsNames: ["www.example.com"] } } },
    { name: "another subject is requested", edit: { subject: { commonName: "www" } } },
    { name: "another usage is requested", edit: { usages: ["client auth"] } },
    { name: "another kind of key is requested", edit: { key: "ed25519" as const } },
    { name: "it is forced", edit: { renewal: { isForced: true } } },
  ] satisfies readonly { name: string; edit: Partial<RequestCertificateOptions> }[]
) {
  test(`requestCertificate() replaces a valid certificate when ${name}`, async () => {
    await using f = await fixture();
    f.api.onCreate = (csr) => issue(f.api, csr);
    await f.run();
    const outcome = await f.run({ renewal: { isForced: false, renewBeforeMs: HOUR_MS }, ...edit });
    assert.equal(outcome.kind, "issued");
    assert.equal(f.api.objects.size, 2);
  });
}

test("requestCertificate() renews with the same key when it is given one", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => issue(f.api, csr);
  const key = await generatePrivateKey("ed25519");
  await f.run({ key });
  assert.equal(await f.text("tls.key"), key.toPem());
  const outcome = await f.run({ key, renewal: { isForced: true } });
  assert.ok(
    outcome.kind === "issued" && !outcome.submitted.adopted,
    "the old certificate does not count as the new one",
  );
  assert.equal(await f.text("tls.key"), key.toPem());
});

for (
  const { name, edit, want } of [
    {
      name: "a signer name without a domain",
      edit: { signerName: "web" },
      want: /spec\.signerName: Invalid value: "web"/,
    },
    { name: "a short lifetime", edit: { expirationSeconds: 60 }, want: /less than 600 seconds \(10 minutes\)/ },
    {
      name: "an administrator",
      edit: {
        signerName: "kubernetes.io/kube-apiserver-client",
        subject: { commonName: "x", organizations: ["system:masters"] },
      },
      want: /use of kubernetes\.io\/kube-apiserver-client signer with system:masters group is not allowed/,
    },
    {
      name: "a kubelet without its group",
      edit: { signerName: "kubernetes.io/kubelet-serving" },
      want: /subject organization is not system:nodes/,
    },
    {
      name: "a usage that the signer does not allow",
      edit: { signerName: "kubernetes.io/kube-apiserver-client", usages: ["server auth"] },
      want: /invalid usage for client certificate: server auth/,
    },
  ] satisfies readonly { name: string; edit: Partial<RequestCertificateOptions>; want: RegExp }[]
) {
  test(`requestCertificate() creates and sends nothing for ${name}`, async () => {
    await using f = await fixture();
    await assert.rejects(f.run(edit), (error) => error instanceof RequestRefusedError && want.test(error.message));
    assert.deepEqual(f.api.requests, []);
    assert.equal(await files.lstat(f.temp.join("web")), undefined);
  });
}

for (
  const { name, arrange, code, want } of [
    {
      name: "denied",
      arrange: (api: FakeApi, csr: KubeObject) =>
        void api.put({ ...csr, status: { conditions: [condition("Denied", "Policy", "not you")] } } as KubeObject),
      code: "csr_denied",
      want: /reason: Policy, message: not you/,
    },
    {
      name: "failed",
      arrange: (api: FakeApi, csr: KubeObject) =>
        void api.put(
          {
            ...csr,
            status: { conditions: [condition("Approved", "X"), condition("Failed", "Signer", "no")] },
          } as KubeObject,
        ),
      code: "csr_failed",
      want: /reason: Signer, message: no/,
    },
    {
      name: "given a certificate without one of its names",
      arrange: (api: FakeApi, csr: KubeObject) => issue(api, csr, { ipAddresses: [] }),
      code: "csr_failed",
      want: /it lacks 10\.0\.0\.7$/,
    },
    {
      name: "given a certificate for something else",
      arrange: (api: FakeApi, csr: KubeObject) => issue(api, csr, { usages: ["digital signature", "client auth"] }),
      code: "csr_failed",
      want: /it lacks the usage "server auth"/,
    },
    {
      name: "given an expired certificate",
      arrange: (api: FakeApi, csr: KubeObject) =>
        issue(api, csr, {
          notBefore: new Date(NOW.getTime() - 2 * HOUR_MS),
          notAfter: new Date(NOW.getTime() - HOUR_MS),
        }),
      code: "clock_skew",
      want: /it is valid from/,
    },
  ] as const
) {
  test(`requestCertificate() keeps its key and writes nothing when it is ${name}`, async () => {
    await using f = await fixture();
    f.api.onCreate = (csr) => arrange(f.api, csr);
    await assert.rejects(f.run(), (error) => isAppError(error, code) && want.test(error.message));
    assert.match(await f.text("tls.key.new") ?? "", /PRIVATE KEY/);
    assert.equal(await f.text("tls.crt"), undefined);
  });
}

test("requestCertificate() times out without a decision", async () => {
  await using f = await fixture();
  const running = f.run();
  running.catch(() => {});
  await f.api.arrival(/watch=true/);
  await f.clock.advance(61_000);
  await assert.rejects(
    running,
    (error) => isAppError(error, "timeout") && /tlsboot approve web-/.test(error.hint ?? ""),
  );
});

test("requestCertificate() adopts a request with a chosen name only when it is equal", async () => {
  await using f = await fixture();
  const csrName = "my-web";
  await f.run({ csrName, timeoutSeconds: 0 });
  assert.equal((await f.run({ csrName, timeoutSeconds: 0 })).kind, "pending");
  for (
    const edit of [{ usages: ["server auth"] }, { names: { ...names, ipAddresses: [] } }, { expirationSeconds: 700 }]
  ) {
    await assert.rejects(
      f.run({ csrName, timeoutSeconds: 0, ...edit }),
      (error) => isAppError(error, "csr_incompatible") && /tlsboot delete csr my-web/.test(error.hint ?? ""),
    );
  }
});

test("requestCertificate() refuses a pending key that is broken or of another kind", async () => {
  await using f = await fixture();
  await f.run({ timeoutSeconds: 0 });
  await assert.rejects(
    f.run({ timeoutSeconds: 0, key: "rsa-2048" }),
    (error) => isAppError(error, "key_invalid") && /it is ecdsa-p256, but rsa-2048 was requested/.test(error.message),
  );
  await writeFile(f.temp.join("web/tls.key.new"), "half");
  await assert.rejects(f.run({ timeoutSeconds: 0 }), (error) => isAppError(error, "key_invalid"));
  assert.equal(await readFile(f.temp.join("web/tls.key.new"), "utf8"), "half", "it is unchanged");
});

test("requestCertificate() called twice at once makes one request with one key", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => issue(f.api, csr);
  const renewal = { isForced: true };
  const outcomes = await Promise.all([f.run({ renewal }), f.run({ renewal })]);
  assert.deepEqual(outcomes.map(({ kind }) => kind), ["issued", "issued"]);
  assert.equal(f.api.objects.size, 1);
});

for (
  const [status, code, hint] of [[401, "unauthorized", /the setting kubeconfig/], [
    403,
    "access_denied",
    /create, get, list/,
  ]] as const
) {
  test(`requestCertificate() has a hint for the status ${status}`, async () => {
    await using f = await fixture();
    const reason = status === 401 ? "Unauthorized" : "Forbidden";
    f.api.intercept = () => ({
      status,
      body: { kind: "Status", apiVersion: "v1", status: "Failure", reason, code: status },
    });
    await assert.rejects(f.run(), (error) => isAppError(error, code) && hint.test(error.hint ?? ""));
    assert.match(await f.text("tls.key.new") ?? "", /PRIVATE KEY/);
  });
}
