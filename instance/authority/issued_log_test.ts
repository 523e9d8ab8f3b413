import assert from "node:assert/strict";
import { appendFile, mkdir, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { type CheckedRecord, verifyRecords } from "../../core/register/verify.ts";
import { createSystemClock } from "../../cli/system.ts";
import { settle } from "../../tests/support/fake_clock.ts";
import { createTempFolder, type TempFolder } from "../../tests/support/temp.ts";
import { createTestAuthority, planTestLeaf } from "../../tests/support/test_authority.ts";
import { openIssuedLog } from "./issued_log.ts";

const ORIGIN = { source: "sign", signerName: "example.com/web" } as const;

interface Surroundings extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly path: string;
  readonly warnings: readonly string[];
  readonly authority: Authority;
  /** Issues a certificate and records it in the given log, or in one that is opened for it. */
  record(serial: number, log?: ReturnType<typeof openIssuedLog>): Promise<void>;
  open(): ReturnType<typeof openIssuedLog>;
  read(): Promise<readonly CheckedRecord[]>;
}

async function setUp(): Promise<Surroundings> {
  const folder = await createTempFolder();
  const path = folder.join("issued.jsonl");
  const authority = await createTestAuthority();
  const warnings: string[] = [];
  const open = () => openIssuedLog(path, { clock: createSystemClock(), warn: (text) => void warnings.push(text) });
  async function record(serial: number, log = open()): Promise<void> {
    const der = await issueCertificate(planTestLeaf(authority.privateKey), authority, Uint8Array.of(serial));
    await log.record(der, authority, ORIGIN);
  }
  const read = async () => (await readFile(path, "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line));
  return {
    folder,
    path,
    warnings,
    authority,
    record,
    open,
    read,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** Returns the numbers of the records, after checking the chain and the seals. */
async function readSerials({ read, authority }: Surroundings): Promise<readonly (string | undefined)[]> {
  const records = await read();
  const report = await verifyRecords(records, { cas: [authority.certificate] });
  assert.equal(report.fault, undefined);
  assert.equal(report.sealedUpTo?.name, report.head?.name, "the last record is not sealed");
  return records.map(({ spec }) => spec.serialNumber);
}

test("openIssuedLog() writes a chain of records, private, that continues in the next run", async () => {
  await using one = await setUp();
  await one.record(1);
  await one.record(2);
  const { mode } = await stat(one.path);
  assert.equal(mode & 0o777, 0o600);
  assert.equal((await stat(`${one.path}.lock`)).mode & 0o777, 0o600);
  assert.deepEqual(await readSerials(one), ["01", "02"]);
  const [first] = await one.read();
  assert.deepEqual(
    [first?.spec.source, first?.spec.signerName, first?.spec.subject, first?.spec.issuerFingerprint],
    ["sign", "example.com/web", "CN=system:node:n1,O=system:nodes", one.authority.certificate.sha256Fingerprint],
  );
});

test("openIssuedLog() records each certificate once, although many callers and several logs sign at the same time", async () => {
  await using one = await setUp();
  using a = one.open();
  using b = one.open();
  await Promise.all(Array.from({ length: 60 }, (_, index) => one.record(index + 1, index % 2 === 0 ? a : b)));
  const serials = await readSerials(one);
  assert.equal(new Set(serials).size, 60);
  assert.equal(serials.length, 60);
});

for (const length of [1, 40, 400]) {
  test(`openIssuedLog() removes an incomplete last line of ${length} bytes, and warns`, async () => {
    await using one = await setUp();
    await one.record(1);
    await one.record(2);
    const whole = await readFile(one.path, "utf8");
    const lines = whole.trimEnd().split("\n");
    await truncate(one.path, (lines[0] ?? "").length + 1 + length);
    await one.record(3);
    assert.deepEqual(await readSerials(one), ["01", "03"]);
    assert.match(one.warnings.join(), /last line of ".*issued\.jsonl" was incomplete and is cut off/);
  });
}

test("openIssuedLog() empties a file with only part of a line", async () => {
  await using one = await setUp();
  await writeFile(one.path, '{"spec":');
  await one.record(1);
  assert.deepEqual(await readSerials(one), ["01"]);
});

test("openIssuedLog() begins a new chain after the file was moved away", async () => {
  await using one = await setUp();
  using log = one.open();
  await one.record(1, log);
  await rename(one.path, `${one.path}.1`);
  await one.record(2, log);
  assert.deepEqual(await readSerials(one), ["02"]);
});

for (
  const { name, line } of [
    { name: "not JSON", line: "hello" },
    { name: "not a record", line: '{"kind":"Event"}' },
    { name: "a record without a number", line: '{"spec":{"sequence":"1"}}' },
    { name: "an empty line", line: "" },
  ]
) {
  test(`openIssuedLog() refuses to append to a file whose last line is ${name}`, async () => {
    await using one = await setUp();
    await one.record(1);
    await appendFile(one.path, `${line}\n`);
    const before = await readFile(one.path, "utf8");
    using log = one.open();
    for (const attempt of [() => one.record(2, log), () => log.check()]) {
      await assert.rejects(attempt, { code: "invalid", message: /its last line is not a record/ });
    }
    assert.equal(await readFile(one.path, "utf8"), before);
  });
}

test("openIssuedLog() reports a folder that does not exist, and a file that is a folder", async () => {
  await using one = await setUp();
  const deps = { clock: createSystemClock(), warn: () => {} };
  using missing = openIssuedLog(one.folder.join("nowhere", "issued.jsonl"), deps);
  await assert.rejects(missing.check(), { code: "io", hint: /create its folder/ });
  await mkdir(one.folder.join("folder"));
  using folder = openIssuedLog(one.folder.join("folder"), deps);
  await assert.rejects(folder.check(), { code: "io", message: /cannot record a certificate in issued log ".*folder"/ });
});

test("openIssuedLog() gives up when another program holds the lock for ten seconds", async () => {
  await using one = await setUp();
  using held = one.open();
  const slow = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  const signing = Promise.withResolvers<void>();
  // A slow signature holds the lock, as a suspended program does.
  const sign = (): Promise<Uint8Array<ArrayBuffer>> => {
    signing.resolve();
    return slow.promise;
  };
  const authority = { ...one.authority, key: { ...one.authority.key, sign } };
  const plan = planTestLeaf((await createTestAuthority()).privateKey);
  const pending = held.record(await issueCertificate(plan, one.authority, Uint8Array.of(9)), authority, ORIGIN);
  await signing.promise;
  let elapsed = 0;
  const clock = {
    ...createSystemClock(),
    elapsedMs: () => elapsed,
    sleep: () => {
      elapsed += 1_000;
      return settle(1);
    },
  };
  using other = openIssuedLog(one.path, { clock, warn: () => {} });
  await assert.rejects(one.record(1, other), { code: "io", message: /another program holds it/ });
  slow.resolve(new Uint8Array());
  await pending;
});
