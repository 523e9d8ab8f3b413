import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../../core/lib/brand.ts";
import { isAppError } from "../../core/errors.ts";
import { generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../core/pki/keys/keys.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createMemoryFiles, type MemoryFiles } from "../../tests/support/memory_files.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import {
  type CredentialStore,
  forgetKey,
  forgetSpentKey,
  keepKey,
  openCredentialStore,
  type RequestNote,
} from "./credential_store.ts";

const NOW = new Date(2026, 0, 2, 3, 4, 5); // local time on purpose: it is in the file name
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

const PATH = "/pki/key.tmp";
const NOTE: RequestNote = { nodeName: "n1", command: "tlsboot bootstrap" };
const NOTE_LINE = "# The request of node n1 waits; to continue: tlsboot bootstrap\n";

/** Returns the part of a certificate that decides whether a key belongs to it. */
function certify(key: PrivateKey): CertificateFacts {
  return { publicKeyDer: key.publicKeyDer() } as CertificateFacts;
}

test("keepKey() stores a new P-256 key for its owner only, and the next run reuses it", async () => {
  const files = createMemoryFiles();
  const first = await keepKey({ path: PATH, files });
  assert.deepEqual([first.isReused, first.key.algorithm, files.mode(PATH)], [false, "ECDSA", 0o600]);
  assert.equal(files.text(PATH), first.key.toPem());
  const second = await keepKey({ path: PATH, files });
  assert.deepEqual([second.isReused, second.key.toPem()], [true, first.key.toPem()]);
});

test("keepKey() writes a note before the key, and replaces that of an earlier run", async () => {
  const files = createMemoryFiles();
  const { key } = await keepKey({ path: PATH, files, note: { ...NOTE, command: "earlier" } });
  const again = await keepKey({ path: PATH, files, note: NOTE });
  assert.equal(files.text(PATH), NOTE_LINE + key.toPem());
  const calls = files.calls.length;
  assert.equal((await keepKey({ path: PATH, files, note: NOTE })).key.toPem(), again.key.toPem());
  assert.equal(files.calls.length, calls, "nothing is written when nothing changes");
});

test("keepKey() replaces the key of the stored certificate", async () => {
  const spent = await generatePrivateKey("ecdsa-p256");
  const files = createMemoryFiles({ [PATH]: spent.toPem() });
  const kept = await keepKey({ path: PATH, files, stored: certify(spent) });
  assert.equal(kept.isReused, false);
  assert.equal(files.text(PATH), kept.key.toPem());
  assert.notEqual(kept.key.toPem(), spent.toPem());
});

test("keepKey() uses the key that another run stores at the same moment", async () => {
  const files = createMemoryFiles();
  const other = await generatePrivateKey("ecdsa-p256");
  const racing = {
    ...files,
    async createExclusive(path: string, text: string, mode: number) {
      files.entries.set(PATH, { kind: "file", text: other.toPem(), mode: 0o600 });
      await files.createExclusive(path, text, mode);
    },
  };
  const kept = await keepKey({ path: PATH, files: racing });
  assert.deepEqual([kept.isReused, kept.key.toPem()], [true, other.toPem()]);
});

test("keepKey() stores nothing when the check throws", async () => {
  const files = createMemoryFiles();
  const check = (): never => assert.fail("refused");
  await assert.rejects(keepKey({ path: PATH, files, check }), /refused/);
  assert.deepEqual(files.calls, []);
});

for (
  const { name, algorithm, edit, want } of [
    { name: "another algorithm", algorithm: "ed25519", edit: {}, want: /it is ed25519, but ecdsa-p256 was requested$/ },
    {
      name: "no key",
      algorithm: "ecdsa-p256",
      edit: { text: "hello" },
      want: /cannot use the key in "\/pki\/key\.tmp": /,
    },
    {
      name: "a mode for others",
      algorithm: "ecdsa-p256",
      edit: { mode: 0o644 },
      want: /others may read it \(mode 644\)$/,
    },
    {
      name: "another owner",
      algorithm: "ecdsa-p256",
      edit: { isOwnedByOther: true },
      want: /belongs to another user$/,
    },
  ] satisfies readonly { name: string; algorithm: KeyAlgorithm; edit: object; want: RegExp }[]
) {
  test(`keepKey() refuses a file with ${name}, and does not change it`, async () => {
    const files = createMemoryFiles();
    const text = (await generatePrivateKey(algorithm)).toPem();
    files.entries.set(PATH, { kind: "file", text, mode: 0o600, ...edit });
    const before = files.text(PATH);
    await assert.rejects(
      keepKey({ path: PATH, files, algorithm: "ecdsa-p256" }),
      (error) => isAppError(error, "key_invalid") && want.test(error.message),
    );
    assert.equal(files.text(PATH), before);
    assert.deepEqual(files.calls, []);
  });
}

test("keepKey() refuses a link, regardless of its target", async () => {
  const files = createMemoryFiles({ "/mine": (await generatePrivateKey("ecdsa-p256")).toPem() });
  files.entries.set(PATH, { kind: "symlink", target: "/mine" });
  await assert.rejects(keepKey({ path: PATH, files }), (error) => isAppError(error, "key_invalid"));
});

test("forgetSpentKey() removes the key of the stored certificate and no other", async () => {
  const [spent, pending] = [await generatePrivateKey("ecdsa-p256"), await generatePrivateKey("ecdsa-p256")];
  const files = createMemoryFiles({ [PATH]: pending.toPem() });
  await forgetSpentKey({ path: PATH, files, stored: certify(spent) });
  await forgetSpentKey({ path: PATH, files, stored: undefined });
  assert.equal(files.text(PATH), pending.toPem());
  await forgetSpentKey({ path: PATH, files, stored: certify(pending) });
  assert.equal(files.text(PATH), undefined);
});

test("forgetKey() logs a failure when it has a logger, and throws it otherwise", async () => {
  const files = createMemoryFiles({ [PATH]: "key" });
  files.failOn = /^unlink/;
  const logger = createMemoryLogger();
  await forgetKey(PATH, files, logger);
  assert.deepEqual(logger.entries.map(({ message }) => message), ["cannot remove the temporary key"]);
  await assert.rejects(forgetKey(PATH, files), (error) => isAppError(error, "io"));
});
