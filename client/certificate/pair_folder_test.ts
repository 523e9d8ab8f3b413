import assert from "node:assert/strict";
import { readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { type CredentialPair, parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { createDyingFiles, Killed } from "../../tests/support/failing_files.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { createFilePort } from "../files.ts";
import { openPairFolder } from "./pair_folder.ts";

const files = createFilePort();
const ca = createIssuingCa(new Date());

async function createPair(commonName: string): Promise<CredentialPair> {
  const key = await generatePrivateKey("ecdsa-p256");
  const certificate = await (await ca).issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName } });
  const pair = parseCredentialPair(certificate, key.toPem());
  assert.ok(pair.ok);
  return pair.value;
}

test("openPairFolder() stores one pair in three files, the secret ones with mode 0600", async () => {
  await using temp = await createTempFolder();
  const folder = openPairFolder(temp.join("web"), files);
  assert.deepEqual(await folder.existing(), { kind: "none" });
  const pair = await createPair("one");
  await folder.update(pair);
  const existing = await folder.existing();
  assert.ok(existing.kind === "usable" && existing.leaf.subject.commonName === "one");
  assert.equal(await readFile(temp.join("web/tls.crt"), "utf8"), pair.certificatePem);
  assert.equal(await readFile(temp.join("web/tls.key"), "utf8"), pair.keyPem.reveal());
  assert.equal(await readFile(temp.join("web/tls.pem"), "utf8"), pair.certificatePem + pair.keyPem.reveal());
  const modes = await Promise.all(["tls.crt", "tls.key", "tls.pem", "."].map((name) => stat(temp.join("web", name))));
  assert.deepEqual(modes.map(({ mode }) => mode & 0o777), [0o644, 0o600, 0o600, 0o700]);
});

test("openPairFolder() keeps one previous pair", async () => {
  await using temp = await createTempFolder();
  const folder = openPairFolder(temp.path, files);
  for (const name of ["one", "two", "three"]) await folder.update(await createPair(name));
  assert.deepEqual((await readdir(temp.path)).sort(), [
    ...["..data", "..pair-1", "..pair-2", "tls.crt", "tls.key", "tls.pem"],
  ]);
  assert.equal(await readlink(temp.join("..data")), "..pair-1");
  const before = await readFile(temp.join("..pair-2/tls.pem"), "utf8");
  const pair = parseCredentialPair(before, before);
  assert.ok(pair.ok && pair.value.leaf.subject.commonName === "two");
});

for (
  const { name, content, want } of [
    { name: "only a certificate", content: { "tls.crt": "x" }, want: /tls\.key" is missing/ },
    { name: "only a key", content: { "tls.key": "x" }, want: /tls\.crt" is missing/ },
    { name: "both, unreadable", content: { "tls.crt": "x", "tls.key": "x" }, want: /cannot be used/ },
  ]
) {
  test(`openPairFolder() finds ${name} unusable, and replaces it with a pair`, async () => {
    await using temp = await createTempFolder();
    for (const [file, text] of Object.entries(content)) await writeFile(temp.join(file), text);
    const folder = openPairFolder(temp.path, files);
    const existing = await folder.existing();
    assert.ok(existing.kind === "unusable");
    assert.match(existing.reason, want);
    await folder.update(await createPair("new"));
    assert.equal((await folder.existing()).kind, "usable");
  });
}

test("openPairFolder() returns the old pair or the new one, wherever an update is killed", async () => {
  const [one, two, three] = [await createPair("one"), await createPair("two"), await createPair("three")];
  for (const isFirst of [true, false]) {
    let isKilled = true;
    for (let changes = 0; isKilled; changes++) {
      await using temp = await createTempFolder();
      const folder = openPairFolder(temp.path, files);
      if (!isFirst) await folder.update(one);
      isKilled = await openPairFolder(temp.path, createDyingFiles(files, changes)).update(two).then(
        () => false,
        (error: unknown) => error instanceof Killed,
      );
      const found = await folder.existing();
      const name = found.kind === "usable" ? found.leaf.subject.commonName : found.kind;
      const allowed = !isKilled ? ["two"] : isFirst ? ["none", "two"] : ["one", "two"];
      assert.ok(allowed.includes(name), `${name} after ${changes} changes`);
      if (found.kind === "usable") {
        const combined = await readFile(temp.join("tls.pem"), "utf8");
        const pair = parseCredentialPair(combined, combined);
        assert.ok(pair.ok && pair.value.leaf.subject.commonName === name);
      }
      await folder.update(three);
      const after = await folder.existing();
      assert.ok(after.kind === "usable" && after.leaf.subject.commonName === "three");
    }
  }
});
