/**
 * A disk that fails under `backup` and `restore`, at every system call in turn: both say so and end with 1, a backup has
 * its name only when it is whole, and a data directory is the old one or the requested one. The tests take turns.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import process from "node:process";
import { test as declare } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { inTurn } from "../runner/turns.ts";
import { runTlsboot } from "../support/child.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../support/temp.ts";
import { createFaultyDisk, type EachCall, type Fault, FAULTS, tryEachCall } from "../support/interop/faulty_disk.ts";
import { assertClearEnd, begin } from "../support/interop/faulty_instance.ts";

/** A disk that is broken from a call on: nothing can be cleaned up either. */
const FOR_GOOD: readonly Fault[] = [
  { name: "permanent ENOSPC", errno: "ENOSPC", kinds: "owt", count: 1_000_000 },
  { name: "permanent EIO", errno: "EIO", kinds: "owstn", count: 1_000_000 },
];

interface Stopped {
  readonly dataDir: string;
  readonly seal: readonly string[];
  readonly open: readonly string[];
}

/** A data directory with something in it, that no server uses; and keys, which are faster than passphrases. */
async function createStopped(folder: TempFolder): Promise<Stopped> {
  const dataDir = folder.join("data");
  {
    await using life = await begin(dataDir, await findServerPort());
    assert.equal(await life.client.create("kept", 100), undefined);
    process.kill(life.running.pid, "SIGTERM");
    await life.running.finished();
  }
  const identity = await generateX25519Identity();
  await writeFile(folder.join("key"), `${identity}\n`, { mode: 0o600 });
  return {
    dataDir,
    seal: ["--recipient", await identityToRecipient(identity)],
    open: ["--identity", folder.join("key")],
  };
}

const test = inTurn(declare);

for (const isForced of [false, true]) {
  test(`backup${isForced ? " --force" : ""} on a disk that fails at every call in turn never writes a partial backup`, async () => {
    await using folder = await createTempFolder();
    const { dataDir, seal, open } = await createStopped(folder);
    const disk = await createFaultyDisk(folder);
    const path = folder.join("out", "instance.backup");
    const args = ["backup", path, "--data-dir", dataDir, ...seal, ...(isForced ? ["--force"] : [])];
    let failures = 0;
    await tryEachCall(disk, `${folder.path}/out`, async ({ fault, what }) => {
      await rm(folder.join("out"), { recursive: true, force: true });
      await mkdir(folder.join("out"));
      if (isForced) await writeFile(path, "before");
      const made = await runTlsboot(args, { env: disk.env });
      const hits = await disk.hits();
      await disk.disarm();
      const left = await readdir(folder.join("out"));
      const now = existsSync(path) ? await readFile(path, "latin1") : undefined;
      if (made.code === 0) {
        assert.ok(hits.length === 0 || fault.short === "harmless", `${what}: ${hits}`);
      } else {
        failures++;
        assert.notEqual(fault.short, "harmless", `${what}: ${made.stderr}`);
        assertClearEnd(made, `${what}: ${hits}`);
        assert.match(made.stderr, /cannot write backup/, `${what}: ${hits}`);
        if (fault.count === undefined) assert.deepEqual(left.filter((name) => name !== "instance.backup"), [], what);
        // Without force the name would be in the way of the next try.
        if (!isForced && fault.count === undefined) assert.ok(now === undefined, `${what}: ${hits}`);
      }
      const isOld = isForced && now === "before";
      if (now !== undefined && !isOld) {
        const verified = await runTlsboot(["backup", path, "--verify", ...open]);
        assert.equal(verified.code, 0, `${what}: ${hits}: ${verified.stderr}`);
      } else assert.notEqual(made.code, 0, what);
      if (made.code === 0) return;
      const again = await runTlsboot([...args, ...(isForced ? [] : ["--force"])]);
      assert.equal(again.code, 0, `after ${what}: ${again.stderr}`);
      assert.deepEqual(await readdir(folder.join("out")), ["instance.backup"], `after ${what}`);
    }, { faults: isForced ? [...FAULTS.filter(({ name }) => name === "EIO"), ...FOR_GOOD] : FAULTS });
    assert.ok(failures > 10, `${failures} failures`);
  });
}

test("backup of a data directory whose disk fails at every call in turn reports it, and changes nothing", async () => {
  await using folder = await createTempFolder();
  const { dataDir, seal, open } = await createStopped(folder);
  const disk = await createFaultyDisk(folder);
  const path = folder.join("instance.backup");
  let failures = 0;
  // A database that is only read is hardly written.
  const faults = FAULTS.filter(({ name }) => name === "EIO" || name === "EROFS");
  await tryEachCall(disk, dataDir, async ({ what }) => {
    await rm(path, { force: true });
    const made = await runTlsboot(["backup", path, "--data-dir", dataDir, ...seal], { env: disk.env });
    await disk.disarm();
    if (made.code !== 0) {
      failures++;
      assertClearEnd(made, what);
      assert.equal(existsSync(path), false, what);
    } else {
      const verified = await runTlsboot(["backup", path, "--verify", ...open]);
      assert.equal(verified.code, 0, `${what}: ${verified.stderr}`);
    }
  }, { faults });
  assert.ok(failures > 0, "no failure");
  await using life = await begin(dataDir, await findServerPort());
  assert.ok((await life.client.names()).has("kept"));
});

const WITHOUT_WRITES = FAULTS.filter(({ kinds }) => kinds !== "w");
const NAMED = FAULTS.filter(({ kinds }) => kinds.includes("n"));
const WITHOUT_SYNCS = FAULTS.filter(({ kinds }) => kinds !== "s").map((fault) => ({
  ...fault,
  kinds: fault.kinds.replace("s", ""),
}));
const SYNCED = FAULTS.filter(({ kinds }) => kinds.includes("s"));

/**
 * A database is put on the disk twice, by its writer and by its next reader, and the second time heals what the
 * first has missed. So its syncs fail permanently.
 */
const DATABASE_FAULTS: readonly Fault[] = [
  ...WITHOUT_SYNCS,
  { name: "failing fsyncs", errno: "EIO", kinds: "s", count: 1_000_000 },
];

/**
 * The files that a restore creates, below the folder of the test: one file stands for all, as some calls do for those
 * of the database.
 */
const RESTORING: readonly ({ readonly name: string; readonly isForced: boolean } & EachCall)[] = [
  { name: "/place/instance.restoring$", isForced: false, faults: WITHOUT_WRITES },
  { name: "/place/instance.restoring/pki/ca.key", isForced: false },
  {
    name: "/place/instance.restoring/tlsboot.db$",
    isForced: false,
    faults: DATABASE_FAULTS,
    calls: [0, 1, 2, 3, 4, 5],
  },
  { name: "/place/instance.restoring/tlsboot.db-wal$", isForced: false, calls: [0, 1, 2, 5] },
  { name: "/place/instance$", isForced: false, faults: NAMED },
  { name: "/place$", isForced: false, faults: SYNCED },
  { name: "/place/instance.replaced", isForced: true, faults: NAMED },
  { name: "/place/instance$", isForced: true, faults: NAMED },
  { name: "/place$", isForced: true, faults: SYNCED },
];

test("restore on a disk that fails at every call in turn changes nothing, or everything and reports it", async () => {
  await using folder = await createTempFolder();
  const { dataDir, seal, open } = await createStopped(folder);
  const disk = await createFaultyDisk(folder);
  const backup = folder.join("instance.backup");
  const made = await runTlsboot(["backup", backup, "--data-dir", dataDir, ...seal]);
  assert.equal(made.code, 0, made.stderr);
  const [place, target] = [folder.join("place"), folder.join("place", "instance")];
  let [failures, ignored, heeded] = [0, 0, 0];
  for (const { name, isForced, ...which } of RESTORING) {
    const args = ["restore", backup, "--data-dir", target, ...open, ...(isForced ? ["--force"] : [])];
    await tryEachCall(disk, `${folder.path}${name}`, async ({ fault, call, what }) => {
      await rm(place, { recursive: true, force: true });
      await mkdir(isForced ? target : place, { recursive: true });
      if (isForced) await writeFile(`${target}/before`, "before");
      const restored = await runTlsboot(args, { env: disk.env });
      const hits = await disk.hits();
      await disk.disarm();
      const left = (await readdir(place)).map((one) => one.replace(/-.*/, "")).sort();
      const seen = `${what}${isForced ? " by force" : ""}: ${hits}: ${left}: ${restored.stderr}`;
      if (restored.code === 0) {
        // Made once more where it is there; synced by SQLite, which takes no notice of an error, and in the end by us.
        const isRepeated = name === "/place/instance.restoring$" && (call > 0 || fault.kinds === "s");
        if (isRepeated && hits[0]?.startsWith("fsync")) ignored++;
        // The log is deleted only once all of it is synced to the database; the next start reads it.
        const log = await readFile(`${target}/tlsboot.db-wal`).catch(() => new Uint8Array());
        const isInLog = name.includes("/tlsboot.db") && log.length > 0;
        assert.ok(hits.length === 0 || fault.short === "harmless" || isRepeated || isInLog, seen);
        assert.deepEqual(left, isForced ? ["instance", "instance.replaced"] : ["instance"], seen);
        assert.ok(existsSync(`${target}/pki/ca.key`), seen);
        return;
      }
      failures++;
      assert.notEqual(fault.short, "harmless", seen);
      assertClearEnd(restored, seen);
      if (/is restored, but/.test(restored.stderr)) {
        // The last call alone may fail: the one that makes the disk keep the new name.
        assert.deepEqual(left, isForced ? ["instance", "instance.replaced"] : ["instance"], seen);
        assert.ok(existsSync(`${target}/pki/ca.key`), seen);
        return;
      }
      if (name === "/place/instance.restoring$" && hits[0]?.startsWith("fsync")) heeded++;
      assert.match(restored.stderr, /cannot (?:restore|put)/, seen);
      assert.deepEqual(left, isForced ? ["instance"] : [], seen);
      if (isForced) assert.ok(existsSync(`${target}/before`), seen);
    }, which);
  }
  assert.ok(failures > 20, `${failures} failures`);
  assert.ok(heeded > 0 && ignored <= 2 * heeded, `${heeded} failing syncs of the folder heeded, ${ignored} ignored`);
  await rm(place, { recursive: true, force: true });
  const again = await runTlsboot(["restore", backup, "--data-dir", target, ...open]);
  assert.equal(again.code, 0, again.stderr);
  await using life = await begin(target, await findServerPort());
  assert.ok((await life.client.names()).has("kept"));
});
