/**
 * A disk that fails under the real program, at every system call in turn. The server refuses with a Status of 5xx and
 * continues, or ends with a clear message where the disk did not keep a write; it acknowledges nothing that it has not
 * stored.
 */
import assert from "node:assert/strict";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { takeTurns } from "../runner/turns.ts";
import { eventually } from "../support/eventually.ts";
import { createTempFolder, findServerPort } from "../support/temp.ts";
import { createFaultyDisk, FAULTS, tryEachCall } from "../support/interop/faulty_disk.ts";
import {
  assertClearEnd,
  assertRefusal,
  begin,
  connect,
  isCrlCall,
  quiet,
  type Refusal,
  startUp,
} from "../support/interop/faulty_instance.ts";
import { waitUntilUp } from "../support/interop/instance.ts";

/** A checkpoint writes a thousand pages, all alike, and syncs once. */
const CHECKPOINT_CALLS = [0, 1, 2, 10, 100, 500];

test("up on a disk that fails at every call in turn acknowledges nothing that it has not stored, and continues or ends clearly", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("data"), await findServerPort()];
  const acknowledged = new Set<string>();
  const refused = new Set<string>();
  /** Refused since all was well. */
  const doubtful = new Set<string>();
  let ends = 0;
  let life = await begin(dataDir, port, disk);
  try {
    await quiet(life.client);
    const create = async (name: string, bytes: number): Promise<Refusal | undefined> => {
      const refusal = await life.client.create(name, bytes).catch(async (error: unknown) => {
        await eventually(
          `the end of a server that answers nothing: ${error}`,
          async () => life.running.hasEnded() || undefined,
        );
        return { code: 503, message: "the server has ended" };
      });
      if (refusal === undefined) acknowledged.add(name);
      else for (const names of [refused, doubtful]) names.add(name);
      return refusal;
    };
    const recover = async (name: string): Promise<void> => {
      await disk.disarm();
      const isReady = () => life.client.isReady().catch(() => false);
      await eventually("ready again, or its end", async () => life.running.hasEnded() || await isReady() || undefined);
      if (life.running.hasEnded()) {
        ends++;
        const { code, stderr } = await life.running.finished();
        assertClearEnd({ code, stderr }, name);
        assert.match(stderr, /the disk did not keep a write/);
        await life[Symbol.asyncDispose]();
        life = await begin(dataDir, port, disk);
        await quiet(life.client);
        // The new object may exist, as after any crash.
        for (const one of doubtful) refused.delete(one);
      }
      doubtful.clear();
      assert.equal(await create(name, 10), undefined, name);
    };
    for (const file of ["tlsboot.db-wal", "tlsboot.db"]) {
      const needle = `${dataDir}/${file}$`;
      // The database file itself is written at a checkpoint only, some megabytes later.
      const isCheckpoint = file === "tlsboot.db";
      const calls = isCheckpoint ? { calls: CHECKPOINT_CALLS } : {};
      await tryEachCall(disk, needle, async ({ fault, call, what }) => {
        const name = `f${FAULTS.indexOf(fault)}-${file.length}-${call}`;
        let refusal: Refusal | undefined;
        let hits: readonly string[] = [];
        for (let number = 0; number < (isCheckpoint ? 20 : 1) && hits.length === 0; number++) {
          refusal = await create(`${name}-${number}`, isCheckpoint ? 400_000 : 10);
          hits = await disk.hits();
        }
        if (refusal !== undefined) assertRefusal(refusal, `${what}: ${hits}`);
        // The content of the journal is not acknowledged; a write continues after its half.
        if (!isCheckpoint && fault.short !== "harmless") {
          assert.equal(refusal !== undefined, hits.length > 0, `${what}: ${hits}`);
        }
        await recover(`${name}-after`);
      }, calls);
    }
    for (const [index, fault] of FAULTS.entries()) {
      // Down for a while, as a full disk is.
      await disk.arm({ ...fault, needle: `${dataDir}/tlsboot.db` }, 0, 1_000_000);
      for (let number = 0; number < 3; number++) {
        const refusal = await create(`f${index}-down-${number}`, 10);
        if (refusal !== undefined) assertRefusal(refusal, fault.name);
        else assert.equal(fault.short, "harmless", `${fault.name} for a while`);
      }
      await recover(`f${index}-down-after`);
    }
    const names = await life.client.names();
    assert.deepEqual([...acknowledged].filter((name) => !names.has(name)), []);
    assert.deepEqual([...refused].filter((name) => names.has(name)), []);
    process.kill(life.running.pid, "SIGKILL");
    await life.running.finished();
  } finally {
    await life[Symbol.asyncDispose]();
  }
  assert.ok(refused.size > 10, `${refused.size} refusals`);
  assert.ok(ends > 1, `${ends} ends`);
  await using again = await begin(dataDir, port);
  const names = await again.client.names();
  assert.deepEqual([...acknowledged].filter((name) => !names.has(name)), []);
});

test("up that cannot sync the files of a killed one keeps them for the next start", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("data"), await findServerPort()];
  const log = join(dataDir, "tlsboot.db-wal");
  const names = ["a", "b", "c"];
  {
    await using life = await begin(dataDir, port);
    for (const name of names) assert.equal(await life.client.create(name, 10), undefined);
    process.kill(life.running.pid, "SIGKILL");
    await life.running.finished();
  }
  const left = await readFile(log);
  assert.ok(left.length > 0);
  let failures = 0;
  for (let call = 0, isOver = false; !isOver; call++) {
    await disk.arm({ errno: "EIO", kinds: "s", needle: `${log}$` }, call);
    await using running = startUp(dataDir, port, disk);
    const isUp = await waitUntilUp(running).then(() => true, () => false);
    const hits = await disk.hits();
    if (isUp) {
      isOver = true;
      await using client = await connect(dataDir);
      const found = await client.names();
      assert.deepEqual(names.filter((name) => !found.has(name)), []);
    } else {
      failures++;
      assert.ok(hits.length > 0, running.stderr());
      assertClearEnd(await running.finished(), `${hits}`);
      assert.deepEqual(await readFile(log), left);
    }
  }
  assert.ok(failures >= 2, `${failures} failures`);
});

/** Fails calls of every kind. */
const EIO = FAULTS.filter(({ name }) => name === "EIO");

/** The faults of a start. EROFS differs from ENOSPC in its number only, and the tests of a running `up` try it. */
const START_FAULTS = FAULTS.filter(({ name }) => name !== "EROFS");

/**
 * The files that `up` creates, and the calls to try: all of them with EIO, and with every other fault one file that may
 * exist already and one that may not, as files are made in these two ways. The journal has hundreds of calls, all
 * alike. The files take turns.
 */
const STARTING = [
  { name: "/instance$", faults: EIO },
  { name: "/instance/pki", faults: EIO },
  // Written beside their place first, under a name that begins with a dot.
  { name: "bootstrap.kubeconfig", faults: EIO },
  { name: "format", faults: START_FAULTS },
  { name: "admin.kubeconfig", faults: START_FAULTS },
  { name: "/instance/tlsboot.db$", faults: START_FAULTS },
  { name: "/instance/tlsboot.db-wal$", faults: START_FAULTS, calls: [0, 1, 2, 3, 10, 50] },
];

for (const { name, ...which } of takeTurns(STARTING, ({ name }) => `starts on a disk that fails at ${name}`)) {
  test(`up that starts on a disk that fails at ${name} ends with a clear message, and starts on a good one`, async () => {
    await using folder = await createTempFolder();
    const disk = await createFaultyDisk(folder);
    const [dataDir, port] = [folder.join("instance"), await findServerPort()];
    let [failures, ignored, withoutCrl] = [0, 0, 0];
    const needle = name.startsWith("/") ? `${folder.path}${name}` : name;
    await tryEachCall(disk, needle, async ({ fault, what }) => {
      {
        await using running = startUp(dataDir, port, disk);
        const isUp = await waitUntilUp(running).then(() => true, () => false);
        const hits = await disk.hits();
        if (isUp && fault.short !== "harmless" && hits.length > 0) {
          // A server without a new CRL is of more use than none; the checks make up for it, see disk_fault_renewal_test.ts.
          if (hits.every(isCrlCall)) {
            withoutCrl++;
            await running.waitFor(/cannot make a CRL.*ca\.crl/);
          } else if (hits.every((hit) => hit === `fsync ${dataDir}`)) ignored++;
          else {
            // The call is one that a server makes as soon as it is up.
            failures++;
            assertClearEnd(await running.finished(), `${what}: ${hits}`);
          }
          assert.deepEqual((await readdir(`${dataDir}/pki`)).filter((file) => /tmp/.test(file)), [], what);
        }
        if (!isUp) {
          failures++;
          assert.ok(hits.length > 0, `${what}: ${running.stderr()}`);
          assert.notEqual(fault.short, "harmless", what);
          assertClearEnd(await running.finished(), `${what}: ${hits}`);
        }
      }
      await disk.disarm();
      {
        await using again = startUp(dataDir, port);
        await waitUntilUp(again).catch((error: unknown) => assert.fail(`after ${what}: ${error}`));
        assert.ok((await readFile(`${dataDir}/pki/ca.crl`, "utf8")).includes("END X509 CRL"), `after ${what}`);
      }
      await rm(dataDir, { recursive: true });
    }, which);
    assert.ok(failures > 2, `${failures} failures`);
    // SQLite syncs the folder of each of its two files, and takes no notice of an error.
    assert.ok(ignored <= (name === "/instance$" ? 2 : 0), `${ignored} failures were ignored`);
    // Its temporary file is opened, written and renamed; then its folder is synced.
    if (name === "/instance/pki") {
      assert.ok(withoutCrl >= 4, `${withoutCrl} starts without a new CRL`);
    } else assert.equal(withoutCrl, 0);
  });
}
