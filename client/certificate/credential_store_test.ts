import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../../core/lib/brand.ts";
import { isAppError } from "../../core/errors.ts";
import { generatePrivateKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createMemoryFiles, type MemoryFiles } from "../../tests/support/memory_files.ts";
import { type CredentialStore, openCredentialStore } from "./credential_store.ts";

const NOW = new Date(2026, 0, 2, 3, 4, 5); // local time on purpose: it stands in the name
const CURRENT = "/pki/kubelet-client-current.pem";
const UPDATED = "/pki/kubelet-client-updated.pem";
const DATED = "/pki/kubelet-client-2026-01-02-03-04-05.pem";

const ca = createIssuingCa(NOW);

async function issue(name = "a"): Promise<{ certificatePem: string; key: PrivateKey; keyPem: Secret<string> }> {
  const key = await generatePrivateKey("ecdsa-p256");
  const certificatePem = await (await ca).issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName: name } });
  return { certificatePem, key, keyPem: new Secret(key.toPem()) };
}

function open(files: MemoryFiles, edit: { certFile?: string; keyFile?: string } = {}): Promise<CredentialStore> {
  return openCredentialStore({
    files,
    clock: createFakeClock(NOW),
    certDir: "/pki",
    prefix: "kubelet-client",
    ...edit,
  });
}

// The cases of client-go `util/certificate/certificate_store_test.go`.
test("update() keeps a dated file of mode 0600 and links current to it (3, 4, 5)", async () => {
  const files = createMemoryFiles();
  const store = await open(files);
  const { certificatePem, keyPem } = await issue();
  const pair = await store.update(`text before\n${certificatePem}`, keyPem);
  assert.equal(pair.leaf.subject.commonName, "a");
  assert.deepEqual(files.entries.get(CURRENT), { kind: "symlink", target: DATED });
  assert.equal(files.text(DATED), certificatePem + keyPem.reveal());
  assert.equal(files.mode(DATED), 0o600);
  assert.equal(files.mode("/pki"), 0o700);
  assert.equal(files.entries.get(UPDATED), undefined);
  assert.equal((await store.current())?.leaf.subject.commonName, "a");
});

test("update() replaces the link and a stale one, and never removes current (3)", async () => {
  const files = createMemoryFiles();
  const [first, second] = [await issue("a"), await issue("b")];
  await (await open(files)).update(first.certificatePem, first.keyPem);
  files.entries.set(UPDATED, { kind: "symlink", target: "/gone" });
  files.calls.length = 0;
  const store = await open(files);
  await store.update(second.certificatePem, second.keyPem);
  assert.equal((await store.current())?.leaf.subject.commonName, "b");
  assert.ok(!files.calls.includes(`unlink ${CURRENT}`));
});

test("update() keeps every certificate, leaf first (6)", async () => {
  const files = createMemoryFiles();
  const { certificatePem, keyPem } = await issue();
  const store = await open(files);
  await store.update(certificatePem + (await ca).caPem, keyPem);
  const current = await store.current();
  assert.deepEqual(current?.chain.map((item) => item.subject.commonName), ["a", "test-ca"]);
});

for (
  const { name, certificate, key, want } of [
    { name: "no certificate", certificate: "x", key: "own", want: "invalid certificate data: " },
    { name: "no key", certificate: "own", key: "x", want: "invalid key data" },
    {
      name: "the key of another pair",
      certificate: "own",
      key: "other",
      want: "private key does not match public key",
    },
  ]
) {
  test(`update() refuses ${name} and selects nothing (7)`, async () => {
    const files = createMemoryFiles();
    const [own, other] = [await issue(), await issue()];
    const keys: Record<string, string> = { own: own.keyPem.reveal(), other: other.keyPem.reveal() };
    const store = await open(files);
    const attempt = store.update(
      certificate === "own" ? own.certificatePem : certificate,
      new Secret(keys[key] ?? key),
    );
    await assert.rejects(attempt, (error) => isAppError(error, "pki_invalid") && error.message.includes(want));
    assert.equal(files.entries.size, 0);
  });
}

for (const path of [CURRENT, UPDATED]) {
  test(`update() does not touch a regular file at ${path} (1)`, async () => {
    const files = createMemoryFiles();
    const { certificatePem, keyPem } = await issue();
    const store = await open(files);
    files.entries.set(path, { kind: "file", text: "mine", mode: 0o600 });
    await assert.rejects(store.update(certificatePem, keyPem), {
      message: `expected "${path}" to be a symlink but it is a file`,
    });
    assert.equal(files.text(path), "mine");
  });
}

test("update() keeps the current pair when the disk is full", async () => {
  const [first, second] = [await issue("a"), await issue("b")];
  for (const failOn of [/^writeAtomic/, /^symlink/, /^rename/]) {
    const files = createMemoryFiles();
    await (await open(files)).update(first.certificatePem, first.keyPem);
    const store = await openCredentialStore({
      files,
      clock: createFakeClock(new Date(NOW.getTime() + 60_000)),
      certDir: "/pki",
      prefix: "kubelet-client",
    });
    files.failOn = failOn;
    await assert.rejects(store.update(second.certificatePem, second.keyPem), (error) => isAppError(error, "io"));
    files.failOn = undefined;
    assert.equal((await (await open(files)).current())?.leaf.subject.commonName, "a", String(failOn));
  }
});

test("current() reads current.pem, then the explicit files, then prefix.crt and .key (8, 9)", async () => {
  const files = createMemoryFiles();
  const [a, b, c] = [await issue("a"), await issue("b"), await issue("c")];
  const explicit = { certFile: "/x/b.crt", keyFile: "/x/b.key" };
  const store = await open(files, explicit);
  const name = async (): Promise<string | undefined> => (await store.current())?.leaf.subject.commonName;
  const put = (path: string, text: string): void => void files.entries.set(path, { kind: "file", text, mode: 0o600 });
  assert.equal(await name(), undefined);
  put("/pki/kubelet-client.crt", c.certificatePem);
  assert.equal(await name(), undefined);
  put("/pki/kubelet-client.key", c.keyPem.reveal());
  assert.equal(await name(), "c");
  put("/x/b.crt", b.certificatePem);
  put("/x/b.key", b.keyPem.reveal());
  assert.equal(await name(), "b");
  await store.update(a.certificatePem, a.keyPem);
  assert.equal(await name(), "a");
});

test("current() reports a corrupt pair", async () => {
  const store = await open(createMemoryFiles({ [CURRENT]: "garbage" }));
  await assert.rejects(store.current(), (error) => {
    assert.ok(isAppError(error, "pki_invalid"));
    assert.ok(error.message.startsWith(`could not convert data from "${CURRENT}" into cert/key pair: `));
    return true;
  });
});

test("openCredentialStore() finishes an interrupted switch (10)", async () => {
  const files = createMemoryFiles({ [DATED]: "x" });
  files.entries.set(UPDATED, { kind: "symlink", target: DATED });
  await open(files);
  assert.deepEqual(files.entries.get(CURRENT), { kind: "symlink", target: DATED });
  assert.equal(files.entries.get(UPDATED), undefined);
});

test("openCredentialStore() refuses an updated file that is not a link", async () => {
  await assert.rejects(open(createMemoryFiles({ [UPDATED]: "x" })), {
    message: `expected "${UPDATED}" to be a symlink but it is a file`,
  });
});
