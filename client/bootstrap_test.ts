import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNodeName } from "../core/machine/node_name.ts";
import { AppError, isAppError } from "../core/errors.ts";
import { findKeyAlgorithm, generatePrivateKey } from "../core/pki/keys/keys.ts";
import { type PublicKeyPin, publicKeyPin } from "../core/pki/keys/key_names.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import {
  CA_FILE,
  CSRS,
  CURRENT,
  type Fixture,
  fixture,
  HOUR_MS,
  KEY,
  NOW,
  parseRequestOrThrow,
} from "../tests/support/bootstrap_fixture.ts";
import { bootstrap, createMissingCredentialsFinder, keepKubeletKey, type ProveIdentity } from "./bootstrap.ts";

test("bootstrap() works as a kubelet does: it keeps its key, names its request by a digest, watches it, and writes the files", async () => {
  await using f = await fixture();
  let keyAtCreation: string | undefined;
  f.api.onCreate = (csr) => {
    keyAtCreation = f.files.text(KEY);
    return f.issue(csr);
  };
  const outcome = await f.run();
  assert.ok(outcome.kind === "issued" && !outcome.adopted);
  assert.match(keyAtCreation ?? "", /^-----BEGIN EC PRIVATE KEY-----/);
  assert.equal(f.files.mode(KEY), undefined, "the temporary key is gone");
  assert.equal(f.files.mode(CURRENT), 0o600);
  assert.equal(f.files.text(CURRENT)?.endsWith(keyAtCreation ?? "?"), true);
  assert.equal(f.files.mode("/node/kubeconfig"), 0o600);
  assert.equal(
    f.files.text("/node/kubeconfig"),
    `apiVersion: v1
clusters:
- cluster:
    certificate-authority: ${CA_FILE}
    server: ${f.api.server}
  name: default-cluster
contexts:
- context:
    cluster: default-cluster
    namespace: default
    user: default-auth
  name: default-context
current-context: default-context
kind: Config
users:
- name: default-auth
  user:
    client-certificate: ${CURRENT}
    client-key: ${CURRENT}
`,
  );
  const csr = f.api.received.find((request) => request.method === "POST")?.body as CertificateSigningRequest;
  assert.match(csr.metadata.name ?? "", /^node-csr-[\w-]{43}$/);
  assert.equal(csr.spec.signerName, "kubernetes.io/kube-apiserver-client-kubelet");
  assert.deepEqual(csr.spec.usages, ["digital signature", "client auth"]);
  assert.equal(csr.spec.expirationSeconds, undefined);
  assert.equal(parseRequestOrThrow(csr).subject.commonName, "system:node:n1");
  assert.deepEqual(parseRequestOrThrow(csr).subject.organizations, ["system:nodes"]);
  assert.deepEqual(f.api.requests.map((request) => request.replace(/timeoutSeconds=\d+/, "timeoutSeconds=N")), [
    "GET /healthz",
    `POST ${CSRS}`,
    `GET ${CSRS}?fieldSelector=metadata.name=${outcome.csrName}&limit=500`,
    `GET ${CSRS}?allowWatchBookmarks=true&fieldSelector=metadata.name=${outcome.csrName}` +
    "&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=N&watch=true",
  ]);
  for (const request of f.api.received) {
    assert.equal(request.headers["authorization"], "Bearer abcdef.0123456789abcdef");
  }
  const kinds = f.progress.map(({ kind }) => kind).filter((kind) => kind !== "approved");
  assert.deepEqual(
    kinds,
    ["keyKept", "waitingForServer", "submitted", "issued", "stored", "kubeconfigWritten"],
  );
  assert.ok(!JSON.stringify(f.logger.entries).includes("0123456789abcdef"), "no token in the log");
});

test("bootstrap() does nothing with a valid kubeconfig, and reads no bootstrap kubeconfig", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => f.issue(csr);
  await f.run();
  f.files.entries.delete("/node/bootstrap.kubeconfig");
  f.files.calls.length = 0;
  const before = f.api.requests.length;
  const outcome = await f.run();
  assert.ok(outcome.kind === "alreadyValid");
  assert.equal(outcome.pair.leaf.subject.commonName, "system:node:n1");
  assert.equal(f.api.requests.length, before);
  assert.deepEqual(f.files.calls, []);
});

for (
  const { name, spoil, want } of [
    {
      name: "an expired certificate",
      spoil: (f: Fixture) => f.clock.jump(25 * HOUR_MS),
      want: 'the client certificate of kubeconfig "/node/kubeconfig" expired at ',
    },
    {
      name: "a missing certificate",
      spoil: (f: Fixture) => void f.files.entries.delete(CURRENT),
      want: `cannot read "${CURRENT}": file does not exist`,
    },
    {
      name: "a broken kubeconfig",
      spoil: (f: Fixture) => void f.files.entries.set("/node/kubeconfig", { kind: "file", text: "a", mode: 0o600 }),
      want: 'cannot parse kubeconfig "/node/kubeconfig": ',
    },
    {
      name: "a kubeconfig with a token only",
      spoil: (f: Fixture) => {
        const text = f.files.text("/node/bootstrap.kubeconfig") ?? "";
        f.files.entries.set("/node/kubeconfig", { kind: "file", text, mode: 0o600 });
      },
      want: 'kubeconfig "/node/kubeconfig" has no client certificate',
    },
  ]
) {
  test(`bootstrap() starts over with ${name}`, async () => {
    await using f = await fixture();
    const soon = { notBefore: NOW, notAfter: new Date(NOW.getTime() + 24 * HOUR_MS) };
    f.api.onCreate = (csr) => f.issue(csr, soon);
    await f.run();
    spoil(f);
    f.api.objects.clear();
    f.progress.length = 0;
    const late = { notBefore: NOW, notAfter: new Date(NOW.getTime() + 99 * HOUR_MS) };
    f.api.onCreate = (csr) => f.issue(csr, late);
    const outcome = await f.run();
    assert.equal(outcome.kind, "issued");
    const [first] = f.progress;
    assert.ok(first?.kind === "kubeconfigInvalid" && first.reason.startsWith(want), JSON.stringify(first));
  });
}

test("bootstrap() adopts its own request after a restart", async () => {
  await using f = await fixture();
  const first = f.run();
  await f.api.arrival(/watch=true/);
  f.abort.abort(new Error("kill"));
  await assert.rejects(first, { message: "kill" });
  assert.ok(f.files.text(KEY), "the key stays");
  const [csr] = [...f.api.objects.values()];
  assert.ok(csr);
  const second = bootstrap(f.options, new AbortController().signal);
  await f.api.arrival(new RegExp(`GET ${CSRS}/node-csr`));
  await f.issue(csr);
  const outcome = await second;
  assert.ok(outcome.kind === "issued" && outcome.adopted);
  assert.equal(f.api.objects.size, 1);
});

test("bootstrap() reuses the stored pair's key when only the kubeconfig was lost", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => f.issue(csr);
  const first = await f.run();
  f.files.entries.delete("/node/kubeconfig");
  const second = await f.run();
  assert.ok(first.kind === "issued" && second.kind === "issued");
  assert.equal(second.csrName, first.csrName);
  assert.ok(second.adopted);
});

test("bootstrap() makes keys of the given algorithm, and a new key when the stored pair has another one", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => f.issue(csr);
  const found: (string | undefined)[] = [];
  for (const keyAlgorithm of ["ecdsa-p384", "ecdsa-p384", "ed25519", "ed25519", undefined] as const) {
    f.files.entries.delete("/node/kubeconfig");
    f.clock.jump(1000);
    const outcome = await bootstrap({ ...f.options, keyAlgorithm }, f.abort.signal);
    assert.ok(outcome.kind === "issued");
    found.push(`${findKeyAlgorithm(outcome.pair.key)}${outcome.adopted ? ", same key" : ""}`);
  }
  assert.deepEqual(found, ["ecdsa-p384", "ecdsa-p384, same key", "ed25519", "ed25519, same key", "ecdsa-p256"]);
});

for (
  const { name, edit } of [
    { name: "others can read it", edit: { mode: 0o644 } },
    { name: "it belongs to another user", edit: { isOwnedByOther: true } },
  ]
) {
  test(`bootstrap() makes a new key when the stored pair's cannot be trusted: ${name}`, async () => {
    await using f = await fixture();
    f.api.onCreate = (csr) => f.issue(csr);
    const first = await f.run();
    f.files.entries.delete("/node/kubeconfig");
    const path = [...f.files.entries.keys()].find((key) => /kubelet-client-\d/.test(key)) ?? "";
    const entry = f.files.entries.get(path);
    assert.ok(entry?.kind === "file");
    f.files.entries.set(path, { ...entry, ...edit });
    f.clock.jump(1000);
    const second = await f.run();
    assert.ok(first.kind === "issued" && second.kind === "issued");
    assert.notEqual(second.csrName, first.csrName);
  });
}

test("bootstrap() does not use the key of another user", async () => {
  await using f = await fixture();
  const text = (await generatePrivateKey("ecdsa-p256")).toPem();
  f.files.entries.set(KEY, { kind: "file", text, mode: 0o600, isOwnedByOther: true });
  await assert.rejects(f.run(), (error) => isAppError(error, "key_invalid") && /another user/.test(error.message));
  assert.deepEqual(f.api.requests, []);
});

test("bootstrap() uses a new key when the stored pair has expired, so that no old request is adopted", async () => {
  await using f = await fixture();
  const soon = { notBefore: NOW, notAfter: new Date(NOW.getTime() + HOUR_MS) };
  f.api.onCreate = (csr) => f.issue(csr, soon);
  const first = await f.run();
  f.clock.jump(2 * HOUR_MS);
  const late = { notBefore: NOW, notAfter: new Date(NOW.getTime() + 9 * HOUR_MS) };
  f.api.onCreate = (csr) => f.issue(csr, late);
  const second = await f.run();
  assert.ok(first.kind === "issued" && second.kind === "issued");
  assert.notEqual(second.csrName, first.csrName);
  assert.notEqual(second.pair.keyPem.reveal(), first.pair.keyPem.reveal());
});

for (const path of ["/node/kubeconfig", "/node/pki"]) {
  test(`bootstrap() refuses ${path} of another node, and does not change it`, async () => {
    await using f = await fixture();
    f.api.onCreate = (csr) => f.issue(csr);
    await f.run();
    if (path === "/node/pki") f.files.entries.delete("/node/kubeconfig");
    f.files.calls.length = 0;
    const name = parseNodeName("n2");
    assert.ok(name.ok);
    const attempt = bootstrap({ ...f.options, nodeName: name.value }, f.abort.signal);
    await assert.rejects(attempt, {
      code: "file_exists",
      message: `cannot use "${path}" for "system:node:n2": its certificate is for "system:node:n1"`,
    });
    assert.deepEqual(f.files.calls, []);
  });
}

test("bootstrap() reports the command to run when there are no bootstrap credentials", async () => {
  await using f = await fixture();
  const options = { ...f.options, findCluster: createMissingCredentialsFinder("/node/kubeconfig", "n1") };
  await assert.rejects(bootstrap(options, f.abort.signal), (error) => {
    assert.ok(isAppError(error, "credentials_missing"));
    assert.match(error.hint ?? "", /tlsboot token create --node n1 -o command$/);
    return true;
  });
});

/** Proves the identity by the bootstrap credentials of the fixture, and records the keys. */
function createProof({ options, abort }: Fixture, keys: PublicKeyPin[]): ProveIdentity {
  return async (key) => {
    keys.push(publicKeyPin({ publicKeyDer: key.publicKeyDer() }));
    return await options.findCluster(abort.signal);
  };
}

test("bootstrap() makes a proof for the key of its request, whether the certificate is missing, valid or expired", async () => {
  await using f = await fixture();
  const requested: PublicKeyPin[] = [];
  const proven: PublicKeyPin[] = [];
  f.api.onCreate = (csr) => {
    requested.push(publicKeyPin(parseRequestOrThrow(csr as CertificateSigningRequest)));
    return f.issue(csr, { notBefore: NOW, notAfter: new Date(NOW.getTime() + (proven.length ** 2) * HOUR_MS) });
  };
  const options = { ...f.options, prove: createProof(f, proven) };
  for (const ms of [0, 1_000, 5 * HOUR_MS]) {
    f.clock.jump(ms);
    const outcome = await bootstrap(options, f.abort.signal);
    assert.ok(outcome.kind === "issued" && !outcome.adopted);
    assert.match(outcome.csrName, /^csr-/);
  }
  assert.equal(proven.length, 3);
  assert.deepEqual(requested, proven);
  // No certificate authenticated a request, not even the expired one.
  assert.ok(f.api.received.every(({ clientName }) => clientName === undefined));
});

test("bootstrap() requests nothing without a proof, regardless of the certificate", async () => {
  await using f = await fixture();
  f.api.onCreate = (csr) => f.issue(csr);
  await f.run();
  const before = f.api.requests.length;
  const refusal = new AppError("access_denied", "the proof was not accepted");
  const prove = () => Promise.reject(refusal);
  await assert.rejects(bootstrap({ ...f.options, prove }, f.abort.signal), (error) => error === refusal);
  assert.equal(f.api.requests.length, before);
  assert.notEqual(f.files.text(CURRENT), undefined);
});

test("keepKubeletKey() stores a key where a kubelet finds it, or uses the key of its pair, even an expired one", async () => {
  await using f = await fixture();
  const made = await keepKubeletKey(f.options);
  assert.equal(made.path, KEY);
  assert.equal(f.files.text(KEY), made.key.toPem());
  assert.equal(f.files.mode(KEY), 0o600);
  assert.equal((await keepKubeletKey(f.options)).key.toPem(), made.key.toPem());
  f.api.onCreate = (csr) => f.issue(csr, { notBefore: NOW, notAfter: new Date(NOW.getTime() + HOUR_MS) });
  await f.run();
  f.clock.jump(2 * HOUR_MS);
  const current = await keepKubeletKey(f.options);
  assert.equal(current.path, CURRENT);
  assert.equal(current.key.toPem(), made.key.toPem());
  const [path, entry] = [...f.files.entries].find(([path]) => /kubelet-client-\d/.test(path)) ?? assert.fail();
  assert.ok(entry.kind === "file");
  f.files.entries.set(path, { ...entry, mode: 0o644 });
  await assert.rejects(keepKubeletKey(f.options), (error) => isAppError(error, "key_invalid"));
});
