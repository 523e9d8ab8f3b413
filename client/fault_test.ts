/**
 * Disk errors at every call in turn: the last valid pair stays readable, the error reports the failure, and the next
 * try works.
 */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { parseCredentialPair } from "../core/machine/credential_pair.ts";
import { Secret } from "../core/lib/brand.ts";
import { isAppError } from "../core/errors.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import { CURRENT, fixture } from "../tests/support/bootstrap_fixture.ts";
import { createFailingFiles, FILE_FAULTS, type FileFault } from "../tests/support/failing_files.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createIssuingCa } from "../tests/support/issuing_ca.ts";
import { createTempFolder } from "../tests/support/temp.ts";
import { createOfflineMachine, REQUEST } from "../tests/support/offline_machine.ts";
import { bootstrap } from "./bootstrap.ts";
import { openCredentialStore } from "./certificate/credential_store.ts";
import { createFilePort, type FilePort } from "./files.ts";
import { openPairFolder } from "./certificate/pair_folder.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
/** A limit above the number of calls in any of these operations. */
const MAX_CALLS = 80;

const ca = createIssuingCa(NOW);
const files = createFilePort();

async function createPair(commonName: string) {
  const key = await generatePrivateKey("ecdsa-p256");
  const certificatePem = await (await ca).issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName } });
  const pair = parseCredentialPair(certificatePem, key.toPem());
  assert.ok(pair.ok);
  return { ...pair.value, certificatePem, keyPem: new Secret(key.toPem()) };
}

/** Returns the error, which must include the error of the disk; undefined when there is none. */
async function catchError(run: Promise<unknown>, { text }: FileFault): Promise<Error | undefined> {
  try {
    await run;
    return undefined;
  } catch (error) {
    assert.ok(isAppError(error) && error.message.endsWith(text), String(error));
    return error;
  }
}

let seconds = 0;

/**
 * A place for pairs: functions that store and read one, and the least number of calls that each fault affects in an
 * update.
 */
const PLACES = [
  {
    place: "a credential store",
    minFailures: { nothing: 4, half: 1, all: 4 },
    async update(files: FilePort, certDir: string, pair: Awaited<ReturnType<typeof createPair>>) {
      // Files have a date, so two pairs of the same second would collide.
      const clock = createFakeClock(new Date(NOW.getTime() + ++seconds * 1_000));
      const store = await openCredentialStore({ files, clock, certDir, prefix: "kubelet-client" });
      await store.update(pair.certificatePem, pair.keyPem);
    },
    async read(certDir: string) {
      const options = { files, clock: createFakeClock(NOW), certDir, prefix: "kubelet-client" };
      return (await (await openCredentialStore(options)).current())?.leaf.subject.commonName;
    },
  },
  {
    place: "a pair folder",
    minFailures: { nothing: 4, half: 3, all: 6 },
    update: (files: FilePort, folder: string, pair: Awaited<ReturnType<typeof createPair>>) =>
      openPairFolder(folder, files).update(pair),
    async read(folder: string) {
      const found = await openPairFolder(folder, files).existing();
      return found.kind === "usable" ? found.leaf.subject.commonName : found.kind;
    },
  },
];

for (const { place, minFailures, update, read } of PLACES) {
  for (const fault of FILE_FAULTS) {
    test(`${place} on a disk that fails with ${fault.name} at each call in turn returns the old pair or the new one`, async () => {
      const [old, next, last] = await Promise.all(["old", "next", "last"].map(createPair));
      let failures = 0;
      for (let call = 0, isOver = false; !isOver; call++) {
        assert.ok(call < MAX_CALLS);
        await using folder = await createTempFolder();
        await update(files, folder.path, old!);
        const before = (await readdir(folder.path)).length;
        const failing = createFailingFiles(files, call, fault);
        const error = await catchError(update(failing.files, folder.path, next!), fault);
        isOver = !failing.hasFailed();
        if (error !== undefined) failures++;
        const found = await read(folder.path);
        assert.ok(found === "next" || (found === "old" && error !== undefined), `${found} after ${call} calls`);
        if (error === undefined) assert.equal(found, "next");
        await update(files, folder.path, last!);
        assert.equal(await read(folder.path), "last");
        // A store keeps the previous pairs, and at most the remains of the failed attempt.
        const left = await readdir(folder.path);
        assert.ok(left.length <= before + 3, left.join(" "));
        if (fault.done !== "all") assert.deepEqual(left.filter((name) => name.endsWith(".link")), []);
      }
      assert.ok(failures >= minFailures[fault.done], `${failures}`);
    });
  }
}

for (const fault of FILE_FAULTS) {
  test(`bootstrap() on a disk that fails with ${fault.name} at each call in turn reports it, and continues with its request`, async () => {
    let failures = 0;
    for (let call = 0, isOver = false; !isOver; call++) {
      assert.ok(call < MAX_CALLS);
      await using f = await fixture();
      f.api.onCreate = (csr) => f.issue(csr);
      const failing = createFailingFiles(f.files, call, fault);
      const error = await catchError(bootstrap({ ...f.options, files: failing.files }, f.abort.signal), fault);
      isOver = !failing.hasFailed();
      if (error !== undefined) failures++;
      const again = await f.run();
      assert.equal(f.api.objects.size, 1, `one request after ${call} calls`);
      assert.ok(f.files.text(CURRENT)?.startsWith(again.pair.certificatePem));
      assert.equal((await f.run()).kind, "alreadyValid");
    }
    assert.ok(failures >= { nothing: 8, half: 3, all: 8 }[fault.done], `${failures}`);
  });
}

for (const fault of FILE_FAULTS) {
  test(`bootstrapOffline() on a disk or stick that fails with ${fault.name} at each call in turn reports it, and continues`, async () => {
    let failures = 0;
    for (const step of ["request", "answer"] as const) {
      for (let call = 0, isOver = false; !isOver; call++) {
        assert.ok(call < MAX_CALLS);
        const machine = await createOfflineMachine();
        if (step === "answer") {
          await machine.run();
          await machine.sign();
        }
        const before = machine.files.text(REQUEST);
        const failing = createFailingFiles(machine.files, call, fault);
        const error = await catchError(machine.run(failing.files), fault);
        isOver = !failing.hasFailed();
        if (error !== undefined) failures++;
        if (step === "request") {
          await machine.run();
          const request = machine.files.text(REQUEST);
          await machine.run();
          assert.equal(machine.files.text(REQUEST), request, `one request after ${call} calls`);
          await machine.sign();
        } else assert.equal(machine.files.text(REQUEST), before);
        assert.notEqual((await machine.run()).kind, "pending");
        assert.ok(machine.files.text(CURRENT));
        assert.equal((await machine.run()).kind, "alreadyValid");
      }
    }
    assert.ok(failures >= { nothing: 8, half: 4, all: 9 }[fault.done], `${failures}`);
  });
}
