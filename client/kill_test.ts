/** Kills at every step of a bootstrap and of an update: the last valid pair stays, and the next run continues. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../core/lib/brand.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import { CURRENT, fixture, KEY } from "../tests/support/bootstrap_fixture.ts";
import { createDyingFiles, Killed } from "../tests/support/failing_files.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createIssuingCa } from "../tests/support/issuing_ca.ts";
import { createMemoryFiles } from "../tests/support/memory_files.ts";
import { createOfflineMachine, REQUEST } from "../tests/support/offline_machine.ts";
import { bootstrap } from "./bootstrap.ts";
import { openCredentialStore } from "./certificate/credential_store.ts";
import type { FilePort } from "./files.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
/** A limit above the number of calls in any of these operations. */
const MAX_CHANGES = 20;

async function isKilled(run: Promise<unknown>): Promise<boolean> {
  try {
    await run;
    return false;
  } catch (error) {
    if (error instanceof Killed) return true;
    throw error;
  }
}

test("update() killed before each of its changes leaves the old pair or the new one, and the next update works", async () => {
  const ca = await createIssuingCa(NOW);
  const pair = async (commonName: string) => {
    const key = await generatePrivateKey("ecdsa-p256");
    const certificatePem = await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName } });
    return { certificatePem, keyPem: new Secret(key.toPem()) };
  };
  const [old, next, last] = [await pair("old"), await pair("next"), await pair("last")];
  for (const hasStaleLink of [false, true]) {
    let kills = 0;
    for (let changes = 0, over = false; !over; changes++) {
      assert.ok(changes < MAX_CHANGES);
      const files = createMemoryFiles();
      let seconds = 0;
      const open = (port: FilePort) => {
        const clock = createFakeClock(new Date(NOW.getTime() + ++seconds * 1_000));
        return openCredentialStore({ files: port, clock, certDir: "/pki", prefix: "kubelet-client" });
      };
      await (await open(files)).update(old.certificatePem, old.keyPem);
      if (hasStaleLink) files.entries.set("/pki/kubelet-client-updated.pem", { kind: "symlink", target: "/gone" });
      const dying = await open(createDyingFiles(files, changes));
      over = !await isKilled(dying.update(next.certificatePem, next.keyPem));
      if (!over) kills++;
      const reader = files.text("/pki/kubelet-client-current.pem");
      assert.ok(reader !== undefined, `a reader finds a pair after ${changes} changes`);
      const store = await open(files);
      const found = (await store.current())?.leaf.subject.commonName;
      assert.equal(found, over ? "next" : "old", `after ${changes} changes`);
      await store.update(last.certificatePem, last.keyPem);
      assert.equal((await store.current())?.leaf.subject.commonName, "last");
      assert.equal(files.entries.has("/pki/kubelet-client-updated.pem"), false);
    }
    assert.equal(kills, hasStaleLink ? 5 : 4, "folder, file, (stale link,) link, rename");
  }
});

test("bootstrap() killed before each of its changes adopts its request and ends with one pair", async () => {
  let kills = 0;
  for (let changes = 0, over = false; !over; changes++) {
    assert.ok(changes < MAX_CHANGES);
    await using f = await fixture();
    f.api.onCreate = (csr) => f.issue(csr);
    const files = createDyingFiles(f.files, changes);
    over = !await isKilled(bootstrap({ ...f.options, files }, f.abort.signal));
    if (!over) kills++;
    const again = await f.run();
    assert.equal(f.api.objects.size, 1, `one request after ${changes} changes`);
    assert.ok(f.files.text(CURRENT)?.startsWith(again.pair.certificatePem));
    assert.ok(f.files.text("/node/kubeconfig"));
    assert.equal((await f.run()).kind, "alreadyValid");
    // A kill between storing and removing leaves the key. It belongs to the stored pair, so that is harmless.
    const left = f.files.text(KEY);
    assert.ok(left === undefined || f.files.text(CURRENT)?.endsWith(left));
  }
  assert.ok(kills >= 8, String(kills));
});

test("bootstrapOffline() killed before each of its changes keeps its key, and ends with one pair and one request", async () => {
  let kills = 0;
  for (const step of ["request", "answer", "renewal"] as const) {
    for (let changes = 0, over = false; !over; changes++) {
      assert.ok(changes < MAX_CHANGES);
      const machine = await createOfflineMachine();
      if (step !== "request") {
        await machine.run();
        await machine.sign();
      }
      if (step === "renewal") {
        await machine.run();
        await machine.clock.advance(20 * 3_600_000);
        await machine.run();
        await machine.sign();
      }
      const before = machine.files.text(REQUEST);
      over = !await isKilled(machine.run(createDyingFiles(machine.files, changes)));
      if (!over) kills++;
      if (step === "request") {
        await machine.run();
        const request = machine.files.text(REQUEST);
        assert.equal((await machine.run()).kind, "pending");
        assert.equal(machine.files.text(REQUEST), request, `one request after ${changes} changes`);
        await machine.sign();
      } else assert.equal(machine.files.text(REQUEST), before);
      const outcome = await machine.run();
      assert.notEqual(outcome.kind, "pending", `${step} after ${changes} changes`);
      assert.ok(machine.files.text(CURRENT));
      assert.ok(machine.files.text("/node/kubeconfig")?.includes("server: https://10.0.0.1:6443"));
      assert.equal((await machine.run()).kind, "alreadyValid");
      assert.equal(machine.files.text(KEY), undefined);
    }
  }
  assert.ok(kills >= 12, String(kills));
});
