/**
 * `backup`, `restore`, `bootstrap` and an update of key pairs on a disk that fails at every system call in turn: each
 * reports it and exits with 1. A backup gets its name only when it is complete, a data directory is the old or the
 * requested one, and the files of a node are always complete.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../../support/temp.ts";
import { createFaultyDisk, type EachCall, type Fault, FAULTS, tryEachCall } from "../../support/interop/faulty_disk.ts";
import { assertClearFailure, startWithClient } from "../../support/interop/faulty_instance.ts";
import { startCommands, startOnDemand } from "../../support/interop/on_demand.ts";
import { startInstance } from "../../support/interop/instance.ts";

/** Faults that last, so that cleaning up fails too. */
const PERMANENT_FAULTS: readonly Fault[] = [
  { name: "permanent ENOSPC", errno: "ENOSPC", kinds: "owt", count: 1_000_000 },
  { name: "permanent EIO", errno: "EIO", kinds: "owstn", count: 1_000_000 },
];

interface Stopped {
  readonly dataDir: string;
  readonly seal: readonly string[];
  readonly open: readonly string[];
}

/** Creates a stopped data directory with an object, and backup keys, which are faster than passphrases. */
async function createStopped(folder: TempFolder): Promise<Stopped> {
  const dataDir = folder.join("data");
  {
    await using life = await startWithClient(dataDir, await findServerPort());
    assert.equal(await life.client.create("kept", 100), undefined);
    life.running.kill("SIGTERM");
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

for (const isForced of [false, true]) {
  test(`backup${isForced ? " --force" : ""} on a disk that fails at every call in turn never writes a partial backup`, async () => {
    await using folder = await createTempFolder();
    const { dataDir, seal, open } = await createStopped(folder);
    const disk = await createFaultyDisk(folder);
    await using commands = startCommands(folder.path, disk);
    const path = folder.join("out", "instance.backup");
    const args = ["backup", path, "--data-dir", dataDir, ...seal, ...(isForced ? ["--force"] : [])];
    let failures = 0;
    await tryEachCall(disk, `${folder.path}/out`, async ({ fault, what }) => {
      await rm(folder.join("out"), { recursive: true, force: true });
      await mkdir(folder.join("out"));
      if (isForced) await writeFile(path, "before");
      const backup = await commands.run(...args);
      const hits = await disk.hits();
      await disk.disarm();
      const files = await readdir(folder.join("out"));
      const now = existsSync(path) ? await readFile(path, "latin1") : undefined;
      if (backup.code === 0) {
        assert.ok(hits.length === 0 || fault.short === "harmless", `${what}: ${hits}`);
      } else {
        failures++;
        assert.notEqual(fault.short, "harmless", `${what}: ${backup.stderr}`);
        assertClearFailure(backup, `${what}: ${hits}`);
        assert.match(backup.stderr, /cannot write backup/, `${what}: ${hits}`);
        if (fault.count === undefined) assert.deepEqual(files.filter((name) => name !== "instance.backup"), [], what);
        // Without --force an existing file would make the next run fail.
        if (!isForced && fault.count === undefined) assert.ok(now === undefined, `${what}: ${hits}`);
      }
      const isOld = isForced && now === "before";
      if (now !== undefined && !isOld) {
        const verified = await commands.run("backup", path, "--verify", ...open);
        assert.equal(verified.code, 0, `${what}: ${hits}: ${verified.stderr}`);
      } else assert.notEqual(backup.code, 0, what);
      if (backup.code === 0) return;
      const again = await commands.run(...args, ...(isForced ? [] : ["--force"]));
      assert.equal(again.code, 0, `after ${what}: ${again.stderr}`);
      assert.deepEqual(await readdir(folder.join("out")), ["instance.backup"], `after ${what}`);
    }, { faults: isForced ? [...FAULTS.filter(({ name }) => name === "EIO"), ...PERMANENT_FAULTS] : FAULTS });
    assert.ok(failures > 10, `${failures} failures`);
  });
}

test("backup of a data directory whose disk fails at every call in turn reports it and changes nothing", async () => {
  await using folder = await createTempFolder();
  const { dataDir, seal, open } = await createStopped(folder);
  const disk = await createFaultyDisk(folder);
  await using commands = startCommands(folder.path, disk);
  const path = folder.join("instance.backup");
  let failures = 0;
  // A backup only reads the database, so it hardly writes.
  const faults = FAULTS.filter(({ name }) => name === "EIO" || name === "EROFS");
  await tryEachCall(disk, dataDir, async ({ what }) => {
    await rm(path, { force: true });
    const finished = await commands.run("backup", path, "--data-dir", dataDir, ...seal);
    await disk.disarm();
    if (finished.code !== 0) {
      failures++;
      assertClearFailure(finished, what);
      assert.equal(existsSync(path), false, what);
    } else {
      const verified = await commands.run("backup", path, "--verify", ...open);
      assert.equal(verified.code, 0, `${what}: ${verified.stderr}`);
    }
  }, { faults });
  assert.ok(failures > 0, "no failure");
  await using life = await startWithClient(dataDir, await findServerPort());
  assert.ok((await life.client.names()).has("kept"));
});

const WITHOUT_WRITES = FAULTS.filter(({ kinds }) => kinds !== "w");
const RENAME_FAULTS = FAULTS.filter(({ kinds }) => kinds.includes("n"));
const WITHOUT_SYNCS = FAULTS.filter(({ kinds }) => kinds !== "s").map((fault) => ({
  ...fault,
  kinds: fault.kinds.replace("s", ""),
}));
const SYNC_FAULTS = FAULTS.filter(({ kinds }) => kinds.includes("s"));

/**
 * A database is synced twice, by its writer and by its next reader, and the second sync repairs what the first one
 * missed. So its syncs fail permanently.
 */
const DATABASE_FAULTS: readonly Fault[] = [
  ...WITHOUT_SYNCS,
  { name: "failing fsyncs", errno: "EIO", kinds: "s", count: 1_000_000 },
];

/** Some of the files that a restore creates, and some of the calls for its database. */
const RESTORED_FILES: readonly ({ readonly name: string; readonly isForced: boolean } & EachCall)[] = [
  { name: "/place/instance.restoring$", isForced: false, faults: WITHOUT_WRITES },
  { name: "/place/instance.restoring/pki/ca.key", isForced: false },
  {
    name: "/place/instance.restoring/tlsboot.db$",
    isForced: false,
    faults: DATABASE_FAULTS,
    calls: [0, 1, 2, 3, 4, 5],
  },
  { name: "/place/instance.restoring/tlsboot.db-wal$", isForced: false, calls: [0, 1, 2, 5] },
  { name: "/place/instance$", isForced: false, faults: RENAME_FAULTS },
  { name: "/place$", isForced: false, faults: SYNC_FAULTS },
  { name: "/place/instance.replaced", isForced: true, faults: RENAME_FAULTS },
  { name: "/place/instance$", isForced: true, faults: RENAME_FAULTS },
  { name: "/place$", isForced: true, faults: SYNC_FAULTS },
];

test("restore on a disk that fails at every call in turn changes nothing, or is complete and reports the fault", async () => {
  await using folder = await createTempFolder();
  const { dataDir, seal, open } = await createStopped(folder);
  const disk = await createFaultyDisk(folder);
  await using commands = startCommands(folder.path, disk);
  const backup = folder.join("instance.backup");
  const backedUp = await commands.run("backup", backup, "--data-dir", dataDir, ...seal);
  assert.equal(backedUp.code, 0, backedUp.stderr);
  const [place, target] = [folder.join("place"), folder.join("place", "instance")];
  let [failures, ignored, reported] = [0, 0, 0];
  for (const { name, isForced, ...which } of RESTORED_FILES) {
    const args = ["restore", backup, "--data-dir", target, ...open, ...(isForced ? ["--force"] : [])];
    await tryEachCall(disk, `${folder.path}${name}`, async ({ fault, call, what }) => {
      await rm(place, { recursive: true, force: true });
      await mkdir(isForced ? target : place, { recursive: true });
      if (isForced) await writeFile(`${target}/before`, "before");
      const restored = await commands.run(...args);
      const hits = await disk.hits();
      await disk.disarm();
      const folders = (await readdir(place)).map((one) => one.replace(/-.*/, "")).sort();
      const seen = `${what}${isForced ? " by force" : ""}: ${hits}: ${folders}: ${restored.stderr}`;
      if (restored.code === 0) {
        // An existing folder may be created again. SQLite syncs it too and ignores errors; we sync it at the end.
        const isRepeated = name === "/place/instance.restoring$" && (call > 0 || fault.kinds === "s");
        if (isRepeated && hits[0]?.startsWith("fsync")) ignored++;
        // The log is deleted only once all of it is synced to the database; the next start reads it.
        const log = await readFile(`${target}/tlsboot.db-wal`).catch(() => new Uint8Array());
        const isInLog = name.includes("/tlsboot.db") && log.length > 0;
        assert.ok(hits.length === 0 || fault.short === "harmless" || isRepeated || isInLog, seen);
        assert.deepEqual(folders, isForced ? ["instance", "instance.replaced"] : ["instance"], seen);
        assert.ok(existsSync(`${target}/pki/ca.key`), seen);
        return;
      }
      failures++;
      assert.notEqual(fault.short, "harmless", seen);
      assertClearFailure(restored, seen);
      if (/is restored, but/.test(restored.stderr)) {
        // Only the last call may fail: the sync of the new name.
        assert.deepEqual(folders, isForced ? ["instance", "instance.replaced"] : ["instance"], seen);
        assert.ok(existsSync(`${target}/pki/ca.key`), seen);
        return;
      }
      if (name === "/place/instance.restoring$" && hits[0]?.startsWith("fsync")) reported++;
      assert.match(restored.stderr, /cannot (?:restore|put)/, seen);
      assert.deepEqual(folders, isForced ? ["instance"] : [], seen);
      if (isForced) assert.ok(existsSync(`${target}/before`), seen);
    }, which);
  }
  assert.ok(failures > 20, `${failures} failures`);
  assert.ok(
    reported > 0 && ignored <= 2 * reported,
    `${reported} failing syncs of the folder reported, ${ignored} ignored`,
  );
  await rm(place, { recursive: true, force: true });
  const again = await commands.run("restore", backup, "--data-dir", target, ...open);
  assert.equal(again.code, 0, again.stderr);
  await using life = await startWithClient(target, await findServerPort());
  assert.ok((await life.client.names()).has("kept"));
});

const INCOMPLETE = "half of it";

test("bootstrap on a disk that fails at every call in turn reports it, and the next run succeeds", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  const disk = await createFaultyDisk(instance.folder);
  await using commands = startCommands(instance.folder.path, disk);
  let failures = 0;
  await tryEachCall(disk, `${instance.folder.path}/home-`, async ({ fault, call, what }) => {
    // Each call has its own node, so leftovers do not matter.
    const node = `n${FAULTS.indexOf(fault)}-${call}`;
    const home = instance.folder.join(`home-${node}`);
    const args = [
      ...["bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, "--kubeconfig", `${home}/kubeconfig`],
      ...["--cert-dir", `${home}/pki`, "--hostname-override", node],
    ];
    const first = await commands.run(...args);
    const hits = await disk.hits();
    if (first.code !== 0) {
      failures++;
      assert.notEqual(fault.short, "harmless", what);
      assertClearFailure(first, `${what}: ${hits}`);
    } else if (fault.short !== "harmless") {
      // A temporary key whose removal fails or is not synced stays until the next request.
      const isReported = /cannot remove the temporary key/.test(first.stderr);
      const keyRemoval = isReported ? /^(?:unlink \S+\.key\.tmp|fsync \S+\/pki)$/ : /^unlink \S+\.key\.tmp$/;
      assert.deepEqual(hits.filter((hit) => !keyRemoval.test(hit)), [], what);
    }
    await disk.disarm();
    const second = await commands.run(...args);
    assert.equal(second.code, 0, second.stderr);
    const combined = await readFile(`${home}/pki/kubelet-client-current.pem`, "utf8");
    const pair = parseCredentialPair(combined, combined);
    assert.ok(pair.ok, what);
    assert.equal(pair.value.leaf.subject.commonName, `system:node:${node}`);
  });
  assert.ok(failures > 20, `${failures} failures`);
});

test("pairs and kubeconfigs on a disk that fails at every call in turn are either old or new", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  await using program = startOnDemand("update_on_demand.ts", folder.path, disk);
  const read = {
    pki: async () => {
      const combined = await readFile(folder.join("pki", "kubelet-client-current.pem"), "utf8");
      return readCommonName(combined, combined);
    },
    pair: async () => {
      const [certificate, key, combined] = await Promise.all(
        ["tls.crt", "tls.key", "tls.pem"].map((name) => readFile(folder.join("pair", name), "utf8")),
      );
      assert.equal(combined, certificate! + key!);
      return readCommonName(certificate!, key!);
    },
    kubeconfig: async () => {
      const text = await readFile(folder.join("kubeconfig"), "utf8");
      return /-----END CERTIFICATE-----\n$/.test(text) ? text : INCOMPLETE;
    },
  };
  for (const [target, readNow] of Object.entries(read)) {
    assert.match(await program.send(`${target} first`), /done/);
    // A file is first written under a temporary name with a leading dot.
    const needle = target === "kubeconfig" ? target : `${folder.path}/${target}`;
    await tryEachCall(disk, needle, async ({ fault, call, what }) => {
      const before = await readNow();
      const name = `${target}-${FAULTS.indexOf(fault)}-${call}`;
      const answer = await program.send(`${target} ${name}`);
      const hits = await disk.hits();
      const after = await readNow();
      const isNew = after !== before;
      if (target === "kubeconfig") assert.notEqual(after, INCOMPLETE, `${what}: ${hits}`);
      else assert.equal(after, isNew ? name : before);
      if (!isNew) assert.match(answer, /failed cannot /, `${what}: ${hits}`);
      if (/failed/.test(answer)) assert.doesNotMatch(answer, /badly/);
      await disk.disarm();
      assert.match(await program.send(`${target} ${name}-after`), /done/, `after ${what}: ${hits}`);
      assert.notEqual(await readNow(), after);
    });
  }
});

function readCommonName(certificatePem: string, keyPem: string): string {
  const pair = parseCredentialPair(certificatePem, keyPem);
  return pair.ok ? pair.value.leaf.subject.commonName ?? "" : pair.error;
}
