/**
 * An audit log on a disk that fails at every system call of a write and of a rotation in turn: requests are still
 * answered, lost events are counted, and no line is incomplete.
 */
import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type Child, spawnTlsboot } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";
import {
  createFaultyDisk,
  type Fault,
  FAULTS,
  type FaultyDisk,
  tryEachCall,
} from "../../support/interop/faulty_disk.ts";
import { assertClearFailure, connect } from "../../support/interop/faulty_instance.ts";

const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Request
  resources: [{group: "", resources: [configmaps]}]
  omitStages: [RequestReceived]
- level: None
`;
/** The length of a line, more than half of a megabyte. */
const LINE_BYTES = 600_000;
const LOST = /^apiserver_audit_error_total\{plugin="log"\} (\d+)/m;
/** A fault after which an incomplete line cannot be removed either. */
const NOT_TRUNCATED: Fault = {
  name: "EIO in the middle of a write and when the file is truncated",
  errno: "EIO",
  kinds: "wt",
  short: "first",
  count: 4,
};
const isSyncFault = (fault: Fault): boolean => fault.kinds === "s";

interface AuditedInstance extends AsyncDisposable {
  readonly running: Child;
  /** Sends a request that writes one line. */
  write(name: string): Promise<void>;
  /** Returns the number of events that the log has lost. */
  lost(): Promise<number>;
}

async function startArguments(folder: TempFolder): Promise<readonly string[]> {
  await writeFile(folder.join("policy.yaml"), POLICY);
  return [
    ...["serve", "--secure-port", "0", "--data-dir", folder.join("data")],
    ...["--audit-policy-file", folder.join("policy.yaml"), "--audit-log-path", folder.join("log", "audit.log")],
    ...["--audit-log-maxsize", "1", "--audit-log-maxbackup", "2", "--audit-log-compress"],
  ];
}

async function startAudited(folder: TempFolder, disk?: FaultyDisk): Promise<AuditedInstance> {
  const options = disk === undefined ? {} : { env: disk.env };
  const running = spawnTlsboot(await startArguments(folder), options);
  await running.waitFor(/serves https:/);
  const client = await connect(folder.join("data"));
  return {
    running,
    async write(name) {
      assert.equal(await client.create(name, LINE_BYTES, "?dryRun=All"), undefined, name);
    },
    lost: async () => Number(LOST.exec((await client.read("/metrics")).text)?.[1] ?? 0),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
    },
  };
}

/** Returns the object names in all files of the log. An incomplete line fails the test. */
async function readLog(folder: TempFolder): Promise<readonly string[]> {
  const names: string[] = [];
  for (const file of (await readdir(folder.join("log"))).filter((name) => /\.log(\.gz)?$/.test(name))) {
    const bytes = await readFile(folder.join("log", file)).catch(() => undefined);
    // The file has just been compressed.
    if (bytes === undefined) continue;
    const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
    if (text === "") continue;
    assert.ok(text.endsWith("\n"), `${file} ends with an incomplete line`);
    for (const line of text.slice(0, -1).split("\n")) names.push(JSON.parse(line).objectRef.name);
  }
  return names;
}

/** Waits until all rotated files are compressed or deleted, or until the disk has failed a call. */
async function untilRotated(folder: TempFolder, disk?: FaultyDisk): Promise<void> {
  await eventually("the rotated files are compressed or deleted", async () => {
    if (disk !== undefined && (await disk.hits()).length > 0) return true;
    const files = await readdir(folder.join("log"));
    return files.length <= 3 && files.every((name) => name === "audit.log" || name.endsWith(".gz")) || undefined;
  });
}

test("serve whose audit log fails at every call in turn continues to answer, counts lost events and writes only whole lines", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  await using instance = await startAudited(folder, disk);
  const faults = [...FAULTS.filter((fault) => !isSyncFault(fault)), NOT_TRUNCATED];
  let [lost, losses] = [0, 0];
  for (const name of ["first", "second"]) await instance.write(name);
  await untilRotated(folder);
  await tryEachCall(disk, `${folder.path}/log/audit`, async ({ fault, call, what }) => {
    const name = `c${faults.indexOf(fault)}-${call}`;
    await instance.write(name);
    await untilRotated(folder, disk);
    const hits = await disk.hits();
    const lostNow = await instance.lost();
    const isLost = lostNow > lost;
    if (isLost) losses++;
    assert.ok(lostNow - lost <= 1, `${what}: ${lostNow - lost} are lost`);
    if (isLost) assert.ok(hits.length > 0 && fault.short !== "harmless", `${what}: ${hits}`);
    lost = lostNow;
    await disk.disarm();
    // An incomplete line is removed before the next line is written.
    await instance.write(`${name}-after`);
    // A file that is being compressed exists twice, or briefly under an unlisted name.
    const wanted = [`${name}-after`, ...(isLost ? [] : [name])];
    await eventually(`${wanted} in the log after ${what}: ${hits}`, async () => {
      const names = await readLog(folder);
      return wanted.every((one) => names.includes(one)) || undefined;
    });
    if (isLost) assert.ok(!(await readLog(folder)).includes(name), `${what}: ${hits}`);
    // The second of two lines always starts a new file, after which the old files are compressed or deleted.
    await instance.write(`${name}-again`);
    assert.equal(await instance.lost(), lost, `after ${what}`);
    await untilRotated(folder);
    await readLog(folder);
  }, { faults });
  assert.ok(losses >= faults.length - 1, `${losses} lines were lost`);
  assert.ok(instance.running.stderr().includes("audit events lost"));
  assert.ok(instance.running.stderr().includes("a full log file cannot be rotated and keeps growing"));
  instance.running.kill("SIGTERM");
  assert.equal((await instance.running.finished()).code, 0);
  await readLog(folder);
});

test("serve whose audit log cannot be opened exits with a clear message, and starts once the disk works", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const args = await startArguments(folder);
  // At startup the log is only opened; nothing is written to it.
  const faults = FAULTS.filter(({ kinds }) => kinds.includes("o"));
  const failures = await tryEachCall(disk, `${folder.path}/log`, async ({ what }) => {
    await rm(folder.join("log"), { recursive: true, force: true });
    await using running = spawnTlsboot(args, { env: disk.env });
    const isUp = await running.waitFor(/serves https:/).then(() => true, () => false);
    const hits = await disk.hits();
    assert.equal(isUp, hits.length === 0, `${what}: ${hits}`);
    if (isUp) return;
    const ended = await running.finished();
    assertClearFailure(ended, what);
    assert.match(ended.stderr, /cannot open audit log/, what);
  }, { faults });
  assert.ok(failures >= faults.length, `${failures} failures`);
});
