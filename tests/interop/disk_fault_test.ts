/**
 * A disk that fails under the real program, at every system call in turn. The server refuses with a Status of 5xx and
 * continues, or ends with a clear message where the disk did not keep a write; it acknowledges nothing that it has not
 * stored. While it renews its certificates it serves the previous one or the new one, and the next check writes what is
 * missing on the disk; a CRL that cannot be written does not keep the certificates from being renewed.
 */
import assert from "node:assert/strict";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type CredentialPair, parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { parseCrl } from "../../core/pki/authority/crl.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
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
import { startCommands, startOnDemand } from "../support/interop/on_demand.ts";
import { readShownCertificate } from "../support/shown_certificate.ts";

/**
 * The files of a running instance, and the calls to try. Which call of a commit syncs the journal depends on its pages, so
 * that the sync is tried for itself. A checkpoint writes a thousand pages, all alike, and syncs once.
 */
const RUNNING = [
  { file: "tlsboot.db-wal" },
  { file: "tlsboot.db-wal", faults: FAULTS.filter(({ kinds }) => kinds === "s"), calls: [0] },
  { file: "tlsboot.db", calls: [0, 1, 2, 10, 100, 500] },
];

test("up on a disk that fails at every call in turn acknowledges nothing that it has not stored, and continues or ends clearly", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("data"), await findServerPort()];
  const acknowledged = new Set<string>();
  const refused = new Set<string>();
  /** Refused since all was well. */
  const doubtful = new Set<string>();
  let ends = 0;
  {
    // A new instance seals its register a minute after its start, or at its end.
    await using first = await begin(dataDir, port);
    first.running.kill("SIGTERM");
    await first.running.finished();
  }
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
    for (const { file, ...which } of RUNNING) {
      const needle = `${dataDir}/${file}$`;
      // The database file itself is written at a checkpoint only, some megabytes later.
      const isCheckpoint = file === "tlsboot.db";
      await tryEachCall(disk, needle, async ({ fault, call, what }) => {
        const name = `f${FAULTS.indexOf(fault)}-${file.length}-${call}`;
        let refusal: Refusal | undefined;
        // At least one write, also when the server itself has met the fault before it.
        for (let number = 0; number < (isCheckpoint ? 20 : 1); number++) {
          refusal = await create(`${name}-${number}`, isCheckpoint ? 400_000 : 10);
          if ((await disk.hits()).length > 0) break;
        }
        // No call may fail after the hits have been read.
        await disk.disarm();
        const hits = await disk.hits();
        if (refusal !== undefined) assertRefusal(refusal, `${what}: ${hits}`);
        // The content of the journal is not acknowledged; a write continues after its half.
        if (!isCheckpoint && fault.short !== "harmless") {
          assert.equal(refusal !== undefined, hits.length > 0, `${what}: ${hits}`);
        }
        await recover(`${name}-after`);
      }, which);
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
    life.running.kill("SIGKILL");
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
    // Or the next start makes up for a write of a controller, which meets the fault.
    await quiet(life.client);
    life.running.kill("SIGKILL");
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
 * alike.
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

for (const { name, ...which } of STARTING) {
  test(`up that starts on a disk that fails at ${name} ends with a clear message, and starts on a good one`, async () => {
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
      // A server that is up still makes calls. None of them may fail after the hits have been read.
      await disk.disarm();
      const hits = await disk.hits();
      // A server without a new CRL is of more use than none, and the checks make up for it. SQLite ignores an error of the
      // sync of its folder.
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
        // The call may be one that a server makes as soon as it is up.
        assertClearEnd(started.code === undefined ? await commands.end() : started, `${what}: ${hits}`);
      }
      if (started.code === undefined) {
        assert.deepEqual((await readdir(`${dataDir}/pki`)).filter((file) => /tmp/.test(file)), [], what);
      }
      // A server that cannot trust its disk leaves the database open: it is released with the process.
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
    // SQLite syncs the folder of each of its two files, and takes no notice of an error.
    assert.ok(ignored <= (name === "/instance$" ? 2 : 0), `${ignored} failures were ignored`);
    // Its temporary file is opened, written and renamed; then its folder is synced.
    if (name === "/instance/pki") {
      assert.ok(withoutCrl >= 4, `${withoutCrl} starts without a new CRL`);
    } else assert.equal(withoutCrl, 0);
  });
}

const toBase64 = (pem: string): string => (/CERTIFICATE-----([^-]*)-----END/.exec(pem)?.[1] ?? "").replace(/\s/g, "");

/** Reads the pair on the disk: undefined where two files do not belong together. */
async function served(dataDir: string): Promise<string | undefined> {
  const [certificate, key] = await Promise.all(
    ["apiserver.crt", "apiserver.key"].map((name) => readFile(`${dataDir}/pki/${name}`, "utf8")),
  );
  return parseCredentialPair(certificate!, key!).ok ? toBase64(certificate!) : undefined;
}

async function admin(dataDir: string): Promise<CredentialPair> {
  const config = parseKubeconfig(await readFile(`${dataDir}/admin.kubeconfig`, "utf8"), "admin.kubeconfig");
  assert.ok(config.ok);
  const user = config.value.users[0]!.user;
  const pair = parseCredentialPair(user.clientCertificateData!, user.clientKeyData!.reveal());
  assert.ok(pair.ok);
  return pair.value;
}

/** Reads the number of the CRL on the disk, which grows with each one. */
async function readCrlNumber(dataDir: string): Promise<bigint> {
  const found = findPemBlock(await readFile(`${dataDir}/pki/ca.crl`, "utf8"));
  const facts = parseCrl(found!.block.bytes);
  assert.ok(facts.ok && facts.value.number !== undefined);
  return facts.value.number;
}

for (
  const { what: owned, name } of [
    { what: "serving pair", name: "/data/pki" },
    // Written beside its place first, under a name that begins with a dot.
    { what: "admin kubeconfig", name: "admin.kubeconfig" },
  ]
) {
  test(`a running instance whose disk fails at every call in turn while it renews its ${owned} continues to serve, and the next check repairs it`, async () => {
    await using folder = await createTempFolder();
    const disk = await createFaultyDisk(folder);
    const dataDir = folder.join("data");
    await using instance = startOnDemand("renew_on_demand.ts", dataDir, disk);
    const port = Number(new URL(await instance.said()).port);
    let [failures, halves, withoutCrl] = [0, 0, 0];
    assert.equal(await instance.send("turn"), "done");
    const needle = name.startsWith("/") ? `${folder.path}${name}` : name;
    await tryEachCall(disk, needle, async ({ fault, what }) => {
      const [before, adminBefore] = [await readShownCertificate(port), await admin(dataDir)];
      assert.equal(await served(dataDir), before);
      const crlBefore = await readCrlNumber(dataDir);
      const said = await instance.send("turn");
      await disk.disarm();
      const hits = await disk.hits();
      // A sync of the folder that fails is one for the CRL exactly if the instance reports it.
      const hasCrl = !said.endsWith(", no CRL");
      const crlHits = hits.filter((hit) => isCrlCall(hit) && (!hasCrl || !hit.startsWith("fsync")));
      assert.equal(hasCrl, crlHits.length === 0 || fault.short === "harmless", `${what}: ${hits}: ${said}`);
      if (!hasCrl) withoutCrl++;
      const isDone = hits.length === crlHits.length || fault.short === "harmless";
      assert.match(said, isDone ? /^done(, no CRL)?$/ : /^failed cannot /, `${what}: ${hits}: ${said}`);
      if (!isDone) failures++;
      const crlAfter = await readCrlNumber(dataDir);
      if (hasCrl) assert.ok(crlAfter > crlBefore, what);
      const after = await readShownCertificate(port);
      const left = await served(dataDir);
      if (left === undefined) halves++;
      // A pair that may not be on the disk is not served before it has been written again.
      if (!isDone && name === "/data/pki") assert.equal(after, before, what);
      // The file is whole, old or new.
      const adminAfter = await admin(dataDir);
      if (isDone) assert.notDeepEqual([after, adminAfter.leaf], [before, adminBefore.leaf]);
      assert.equal(await instance.send("look"), "done", `after ${what}`);
      const crlRepaired = await readCrlNumber(dataDir);
      if (hasCrl) assert.equal(crlRepaired, crlAfter, `after ${what}`);
      else assert.ok(crlRepaired > crlAfter, `after ${what}`);
      const repaired = await readShownCertificate(port);
      assert.notEqual(repaired, before, `after ${what}`);
      assert.equal(await served(dataDir), repaired, `after ${what}`);
      assert.notDeepEqual((await admin(dataDir)).leaf, adminBefore.leaf, `after ${what}`);
      const rest = [...await readdir(dataDir), ...await readdir(`${dataDir}/pki`)].filter((name) => /tmp/.test(name));
      assert.deepEqual(rest, [], `after ${what}`);
    });
    assert.ok(failures > 10, `${failures} failures`);
    assert.ok(name === "/data/pki" ? withoutCrl > 10 : withoutCrl === 0, `${withoutCrl} checks without a new CRL`);
    // Two files cannot be written at once, so a reader in between sees no valid pair.
    if (name === "/data/pki") assert.ok(halves > 0);
  });
}
