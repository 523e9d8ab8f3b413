import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { createMemoryFiles } from "../../tests/support/memory_files.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { forgetKey, forgetSpentKey, keepKey, type RequestNote } from "./kept_key.ts";

const PATH = "/pki/key.tmp";
const NOTE: RequestNote = { nodeName: "n1", command: "tlsboot bootstrap" };
const NOTE_LINE = "# The request of node n1 waits; to continue: tlsboot bootstrap\n";

/** Returns the part of a certificate that decides whether a key belongs to it. */
function certify(key: PrivateKey): CertificateFacts {
  return { publicKeyDer: key.publicKeyDer() } as CertificateFacts;
}

test("keepKey() stores a new P-256 key for its owner only, and the next run uses it again", async () => {
  const files = createMemoryFiles();
  const first = await keepKey({ path: PATH, files });
  assert.deepEqual([first.isReused, first.key.algorithm, files.mode(PATH)], [false, "ECDSA", 0o600]);
  assert.equal(files.text(PATH), first.key.toPem());
  const second = await keepKey({ path: PATH, files });
  assert.deepEqual([second.isReused, second.key.toPem()], [true, first.key.toPem()]);
});

test("keepKey() writes a note in front of the key, and replaces the one of an earlier run", async () => {
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

test("keepKey() refuses a link, whatever it leads to", async () => {
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
