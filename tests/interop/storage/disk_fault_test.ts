/**
 * The real program on a disk that fails at every system call in turn. The server refuses with a 5xx Status and
 * continues, or exits with a clear message if the disk lost a write; it acknowledges nothing that it has not
 * stored. While it renews its certificates it serves the previous or the new one, and the next check writes what is
 * missing on the disk. A CRL that cannot be written does not prevent a renewal.
 */
import assert from "node:assert/strict";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type CredentialPair, parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import { parseKubeconfig } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { parseCrl } from "../../../core/pki/authority/crl.ts";
import { findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { eventually } from "../../support/eventually.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";
import { createFaultyDisk, FAULTS, tryEachCall } from "../../support/interop/faulty_disk.ts";
import {
  assertClearFailure,
  assertRefusal,
  connect,
  isCrlCall,
  type Refusal,
  startUp,
  startWithClient,
  waitUntilQuiet,
} from "../../support/interop/faulty_instance.ts";
import { waitUntilUp } from "../../support/interop/instance.ts";
import { startCommands, startOnDemand } from "../../support/interop/on_demand.ts";
import { readShownCertificate } from "../../support/shown_certificate.ts";

/**
 * The files of a running instance, and the calls to try. The index of the call that syncs the journal depends on the
 * number of pages, so the sync is tried separately. A checkpoint writes a thousand pages in the same way and syncs
 * once.
 */
const RUNNING_FILES = [
  { file: "tlsboot.db-wal" },
  { file: "tlsboot.db-wal", faults: FAULTS.filter(({ kinds }) => kinds === "s"), calls: [0] },
  { file: "tlsboot.db", calls: [0, 1, 2, 10, 100, 500] },
];

test("up on a disk that fails at every call in turn acknowledges only what it has stored, and continues or exits with a clear message", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("data"), await findServerPort()];
  const acknowledged = new Set<string>();
  const refused = new Set<string>();
  /** The objects refused since the server was last ready. */
  const doubtful = new Set<string>();
  let ends = 0;
  {
    // A new instance seals its register a minute after it starts, or when it stops.
    await using first = await startWithClient(dataDir, port);
    first.running.kill("SIGTERM");
    await first.running.finished();
  }
  let life = await startWithClient(dataDir, port, disk);
  try {
    await waitUntilQuiet(life.client);
    const create = async (name: string, bytes: number): Promise<Refusal | undefined> => {
      const refusal = await life.client.create(name, bytes).catch(async (error: unknown) => {
        await eventually(
          `the server to end after no answer: ${error}`,
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
      await eventually(
        "the server to be ready again or to end",
        async () => life.running.hasEnded() || await isReady() || undefined,
      );
      if (life.running.hasEnded()) {
        ends++;
        const { code, stderr } = await life.running.finished();
        assertClearFailure({ code, stderr }, name);
        assert.match(stderr, /the disk did not keep a write/);
        await life[Symbol.asyncDispose]();
        life = await startWithClient(dataDir, port, disk);
        await waitUntilQuiet(life.client);
        // As after any crash, the refused objects may exist.
        for (const one of doubtful) refused.delete(one);
      }
      doubtful.clear();
      assert.equal(await create(name, 10), undefined, name);
    };
    for (const { file, ...which } of RUNNING_FILES) {
      const needle = `${dataDir}/${file}$`;
      // The database file itself is written only at a checkpoint, some megabytes later.
      const isCheckpoint = file === "tlsboot.db";
      await tryEachCall(disk, needle, async ({ fault, call, what }) => {
        const name = `f${FAULTS.indexOf(fault)}-${file.length}-${call}`;
        let refusal: Refusal | undefined;
        // Write at least once, even if the server itself has already hit the fault.
        for (let number = 0; number < (isCheckpoint ? 20 : 1); number++) {
          refusal = await create(`${name}-${number}`, isCheckpoint ? 400_000 : 10);
          if ((await disk.hits()).length > 0) break;
        }
        // No call may fail after the hits have been read.
        await disk.disarm();
        const hits = await disk.hits();
        if (refusal !== undefined) assertRefusal(refusal, `${what}: ${hits}`);
        // A checkpoint writes what has already been acknowledged, and a partial write is continued.
        if (!isCheckpoint && fault.short !== "harmless") {
          assert.equal(refusal !== undefined, hits.length > 0, `${what}: ${hits}`);
        }
        await recover(`${name}-after`);
      }, which);
    }
    for (const [index, fault] of FAULTS.entries()) {
      // The disk fails for a while, as a full one does.
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
    life.running.kill("SIGKILL");
    await life.running.finished();
  } finally {
    await life[Symbol.asyncDispose]();
  }
  assert.ok(refused.size > 10, `${refused.size} refusals`);
  assert.ok(ends > 1, `${ends} ends`);
  await using again = await startWithClient(dataDir, port);
  const names = await again.client.names();
  assert.deepEqual([...acknowledged].filter((name) => !names.has(name)), []);
});

test("up that cannot sync the files of a killed server keeps them for the next start", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("data"), await findServerPort()];
  const log = join(dataDir, "tlsboot.db-wal");
  const names = ["a", "b", "c"];
  {
    await using life = await startWithClient(dataDir, port);
    for (const name of names) assert.equal(await life.client.create(name, 10), undefined);
    // Otherwise the next start might repeat a write of a controller and hit the fault.
    await waitUntilQuiet(life.client);
    life.running.kill("SIGKILL");
    await life.running.finished();
  }
  const kept = await readFile(log);
  assert.ok(kept.length > 0);
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
      assertClearFailure(await running.finished(), `${hits}`);
      assert.deepEqual(await readFile(log), kept);
    }
  }
  assert.ok(failures >= 2, `${failures} failures`);
});

/** Fails calls of every kind. */
const EIO = FAULTS.filter(({ name }) => name === "EIO");

/** The faults to try at a start. EROFS, which differs only in its number, is tried with a running `up`. */
const START_FAULTS = FAULTS.filter(({ name }) => name !== "EROFS");

/**
 * The files that `up` creates, and the calls to try: all files with EIO, and with every other fault one file that may
 * already exist and one that may not, because these are created differently. The journal has hundreds of similar calls.
 */
const CREATED_FILES = [
  { name: "/instance$", faults: EIO },
  { name: "/instance/pki", faults: EIO },
  // These are first written under a temporary name with a leading dot.
  { name: "bootstrap.kubeconfig", faults: EIO },
  { name: "format", faults: START_FAULTS },
  { name: "admin.kubeconfig", faults: START_FAULTS },
  { name: "/instance/tlsboot.db$", faults: START_FAULTS },
  { name: "/instance/tlsboot.db-wal$", faults: START_FAULTS, calls: [0, 1, 2, 3, 10, 50] },
];

for (const { name, ...which } of CREATED_FILES) {
  test(`up on a disk that fails at ${name} exits with a clear message, and starts once the disk works`, async () => {
    await using folder = await createTempFolder();
    const disk = await createFaultyDisk(folder);
    let commands = startCommands(folder.path, disk);
    await using stack = new AsyncDisposableStack();
    stack.defer(() => commands[Symbol.asyncDispose]());
    const dataDir = folder.join("instance");
    const up = ["up", "--secure-port", "0", "--data-dir", dataDir];
    let [failures, ignored, withoutCrl] = [0, 0, 0];
    const needle = name.startsWith("/") ? `${folder.path}${name}` : name;
    await tryEachCall(disk, needle, async ({ fault, what }) => {
      const before = failures;
      const started = await commands.run(...up);
      // A running server still makes calls, none of which may fail after the hits have been read.
      await disk.disarm();
      const hits = await disk.hits();
      // A server without a new CRL is better than none, and a later check writes the CRL. SQLite ignores a failing sync
      // of its folder.
      const isWithoutCrl = hits.every(isCrlCall);
      const isIgnored = isWithoutCrl || hits.every((hit) => hit === `fsync ${dataDir}`);
      if (started.code === undefined && (fault.short === "harmless" || isIgnored)) {
        const { stderr } = await commands.stop();
        if (hits.length > 0 && fault.short !== "harmless") {
          if (isWithoutCrl) {
            withoutCrl++;
            assert.match(stderr, /cannot make a CRL.*ca\.crl/, what);
          } else ignored++;
        }
      } else {
        failures++;
        assert.ok(hits.length > 0, `${what}: ${started.stderr}`);
        assert.notEqual(fault.short, "harmless", what);
        // The server may make this call just after it has started.
        assertClearFailure(started.code === undefined ? await commands.end() : started, `${what}: ${hits}`);
      }
      if (started.code === undefined) {
        assert.deepEqual((await readdir(`${dataDir}/pki`)).filter((file) => /tmp/.test(file)), [], what);
      }
      // A server that cannot trust its disk leaves the database open until its process ends.
      if (failures > before && name.includes("tlsboot.db")) {
        await commands[Symbol.asyncDispose]();
        commands = startCommands(folder.path, disk);
      }
      const again = await commands.run(...up);
      assert.equal(again.code, undefined, `after ${what}: ${again.stderr}`);
      assert.ok((await readFile(`${dataDir}/pki/ca.crl`, "utf8")).includes("END X509 CRL"), `after ${what}`);
      const stopped = await commands.stop();
      assert.equal(stopped.code, 0, `after ${what}: ${stopped.stderr}`);
      await rm(dataDir, { recursive: true });
    }, which);
    assert.ok(failures > 2, `${failures} failures`);
    // SQLite syncs the folder once for each of its two files, and ignores an error.
    assert.ok(ignored <= (name === "/instance$" ? 2 : 0), `${ignored} failures were ignored`);
    // The CRL's temporary file is opened, written and renamed; then its folder is synced.
    if (name === "/instance/pki") {
      assert.ok(withoutCrl >= 4, `${withoutCrl} starts without a new CRL`);
    } else assert.equal(withoutCrl, 0);
  });
}

const toBase64 = (pem: string): string => (/CERTIFICATE-----([^-]*)-----END/.exec(pem)?.[1] ?? "").replace(/\s/g, "");

/** Reads the certificate on the disk, or undefined if it does not match the key. */
async function readServingCertificate(dataDir: string): Promise<string | undefined> {
  const [certificate, key] = await Promise.all(
    ["apiserver.crt", "apiserver.key"].map((name) => readFile(`${dataDir}/pki/${name}`, "utf8")),
  );
  return parseCredentialPair(certificate!, key!).ok ? toBase64(certificate!) : undefined;
}

async function readAdminPair(dataDir: string): Promise<CredentialPair> {
  const config = parseKubeconfig(await readFile(`${dataDir}/admin.kubeconfig`, "utf8"), "admin.kubeconfig");
  assert.ok(config.ok);
  const user = config.value.users[0]!.user;
  const pair = parseCredentialPair(user.clientCertificateData!, user.clientKeyData!.reveal());
  assert.ok(pair.ok);
  return pair.value;
}

/** Reads the number of the CRL on the disk; each new CRL has a higher one. */
async function readCrlNumber(dataDir: string): Promise<bigint> {
  const found = findPemBlock(await readFile(`${dataDir}/pki/ca.crl`, "utf8"));
  const facts = parseCrl(found!.block.bytes);
  assert.ok(facts.ok && facts.value.number !== undefined);
  return facts.value.number;
}

for (
  const { what: owned, name } of [
    { what: "serving pair", name: "/data/pki" },
    // This is first written under a temporary name with a leading dot.
    { what: "admin kubeconfig", name: "admin.kubeconfig" },
  ]
) {
  test(`an instance whose disk fails at every call in turn while it renews its ${owned} continues serving, and the next check repairs the files`, async () => {
    await using folder = await createTempFolder();
    const disk = await createFaultyDisk(folder);
    const dataDir = folder.join("data");
    await using instance = startOnDemand("renew_on_demand.ts", dataDir, disk);
    const port = Number(new URL(await instance.nextLine()).port);
    let [failures, mismatches, withoutCrl] = [0, 0, 0];
    assert.equal(await instance.send("turn"), "done");
    const needle = name.startsWith("/") ? `${folder.path}${name}` : name;
    await tryEachCall(disk, needle, async ({ fault, what }) => {
      const [before, adminBefore] = [await readShownCertificate(port), await readAdminPair(dataDir)];
      assert.equal(await readServingCertificate(dataDir), before);
      const crlBefore = await readCrlNumber(dataDir);
      const answer = await instance.send("turn");
      await disk.disarm();
      const hits = await disk.hits();
      // A failing sync of the folder was for the CRL if and only if the instance reports one.
      const hasCrl = !answer.endsWith(", no CRL");
      const crlHits = hits.filter((hit) => isCrlCall(hit) && (!hasCrl || !hit.startsWith("fsync")));
      assert.equal(hasCrl, crlHits.length === 0 || fault.short === "harmless", `${what}: ${hits}: ${answer}`);
      if (!hasCrl) withoutCrl++;
      const isDone = hits.length === crlHits.length || fault.short === "harmless";
      assert.match(answer, isDone ? /^done(, no CRL)?$/ : /^failed cannot /, `${what}: ${hits}: ${answer}`);
      if (!isDone) failures++;
      const crlAfter = await readCrlNumber(dataDir);
      if (hasCrl) assert.ok(crlAfter > crlBefore, what);
      const after = await readShownCertificate(port);
      const onDisk = await readServingCertificate(dataDir);
      if (onDisk === undefined) mismatches++;
      // A pair that may not be on the disk is not served until it has been written again.
      if (!isDone && name === "/data/pki") assert.equal(after, before, what);
      // The file is either the complete old or the complete new one.
      const adminAfter = await readAdminPair(dataDir);
      if (isDone) assert.notDeepEqual([after, adminAfter.leaf], [before, adminBefore.leaf]);
      assert.equal(await instance.send("look"), "done", `after ${what}`);
      const crlRepaired = await readCrlNumber(dataDir);
      if (hasCrl) assert.equal(crlRepaired, crlAfter, `after ${what}`);
      else assert.ok(crlRepaired > crlAfter, `after ${what}`);
      const repaired = await readShownCertificate(port);
      assert.notEqual(repaired, before, `after ${what}`);
      assert.equal(await readServingCertificate(dataDir), repaired, `after ${what}`);
      assert.notDeepEqual((await readAdminPair(dataDir)).leaf, adminBefore.leaf, `after ${what}`);
      const temps = [...await readdir(dataDir), ...await readdir(`${dataDir}/pki`)].filter((name) => /tmp/.test(name));
      assert.deepEqual(temps, [], `after ${what}`);
    });
    assert.ok(failures > 10, `${failures} failures`);
    assert.ok(name === "/data/pki" ? withoutCrl > 10 : withoutCrl === 0, `${withoutCrl} checks without a new CRL`);
    // Two files cannot be written at once, so a reader in between sees no valid pair.
    if (name === "/data/pki") assert.ok(mismatches > 0);
  });
}
