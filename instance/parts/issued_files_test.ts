import assert from "node:assert/strict";
import { appendFile, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { verifyRecords } from "../../core/register/verify.ts";
import { Register, REGISTER_PREFIX } from "../../server/register/register.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTempFolder, type TempFolder } from "../../tests/support/temp.ts";
import { createTestAuthority, hoursFromNow, NOW, planTestLeaf } from "../../tests/support/test_authority.ts";
import { openIssuedLog } from "../authority/issued_log.ts";
import { migrateIssuedFile, takeOverIssuedLog } from "./issued_files.ts";
import { Buffer } from "node:buffer";
import { createFilePort } from "../../client/files.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";

async function openTakeover() {
  const folder = await createTempFolder();
  const path = folder.join("issued.jsonl");
  const authority = await createTestAuthority();
  const clock = createFakeClock(NOW);
  const storage = createMemoryStorage({ clock });
  const register = await Register.open({ storage, clock, random: createSeededRandom() });
  const logger = createMemoryLogger();
  const log = openIssuedLog(path, { clock, warn: () => {} });

  async function sign(serial: number, commonName = "alice"): Promise<void> {
    const plan = planTestLeaf(authority.privateKey, { subject: { commonName } });
    await log.record(await issueCertificate(plan, authority, Uint8Array.of(serial)), authority, { source: "sign" });
  }

  /** Returns the records of the register as in the API, after checking the chain. */
  async function read(): Promise<readonly IssuedCertificate[]> {
    const { items } = await storage.list("/registry/tlsboot/issuedcertificates/");
    const records = items.map(({ bytes }): IssuedCertificate => JSON.parse(new TextDecoder().decode(bytes)));
    assert.equal((await verifyRecords(records, { cas: [] })).fault, undefined);
    return records;
  }

  const takeOver = () => takeOverIssuedLog({ path, register, retentionMs: DAY_MS }, { clock, logger });
  return {
    ...{ path, clock, register, logger, sign, read, takeOver },
    async [Symbol.asyncDispose]() {
      log[Symbol.dispose]();
      register[Symbol.dispose]();
      await storage[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("takeOverIssuedLog() records each line once, with the time of its signature, also after a restart", async () => {
  await using one = await openTakeover();
  await one.sign(1);
  await one.sign(2, "bob");
  one.clock.jump(3_600_000);
  for (const _ of ["first", "second"]) await one.takeOver();
  assert.deepEqual(
    (await one.read()).map(({ spec }) => [spec.sequence, spec.serialNumber, spec.source, spec.subject, spec.issuedAt]),
    [[1, "01", "sign", "CN=alice", "2026-11-25T12:00:00Z"], [2, "02", "sign", "CN=bob", "2026-11-25T12:00:00Z"]],
  );
  assert.deepEqual(
    (await one.read()).map(({ status }) => status.identifies),
    [{ username: "alice" }, { username: "bob" }],
  );
});

test("takeOverIssuedLog() adds new lines each minute, also those of a file that replaces the old one", async () => {
  await using one = await openTakeover();
  const part = await one.takeOver();
  assert.deepEqual([...await one.read()], []);
  await one.sign(1);
  await part.renew?.();
  await one.sign(2);
  await part.renew?.();
  await rename(one.path, `${one.path}.old`);
  await one.sign(3);
  await part.renew?.();
  await rm(one.path);
  await part.renew?.();
  await one.sign(4);
  await part.renew?.();
  assert.deepEqual((await one.read()).map(({ spec }) => spec.serialNumber), ["01", "02", "03", "04"]);
  assert.deepEqual(one.logger.messages(), []);
});

test("takeOverIssuedLog() skips a line that is being written", async () => {
  await using one = await openTakeover();
  await one.sign(1);
  await one.sign(2);
  const text = await readFile(one.path, "utf8");
  await writeFile(one.path, text.slice(0, -20));
  const part = await one.takeOver();
  assert.equal((await one.read()).length, 1);
  await writeFile(one.path, text);
  await part.renew?.();
  assert.equal((await one.read()).length, 2);
});

test("takeOverIssuedLog() logs a line that is not a record, and adds the others", async () => {
  await using one = await openTakeover();
  await one.sign(1);
  await appendFile(one.path, 'hello\n{"spec":{"sequence":2,"dnsNames":"a"}}\n{"spec":{"sequence":2,"unknown":1}}\n');
  const part = await one.takeOver();
  await part.renew?.();
  assert.equal((await one.read()).length, 1);
  assert.deepEqual(one.logger.entries.map(({ fields }) => fields["line"]), [2, 3, 4]);
});

test("takeOverIssuedLog() adds no record that the register would remove", async () => {
  await using one = await openTakeover();
  await one.sign(1);
  one.clock.set(hoursFromNow(48).getTime() - NOW.getTime());
  await one.takeOver();
  assert.deepEqual([...await one.read()], []);
});

test("takeOverIssuedLog() tries again after a failure of the storage", async () => {
  await using one = await openTakeover();
  await one.sign(1);
  const { record } = one.register;
  one.register.record = () => Promise.reject(new Error("disk"));
  const part = await one.takeOver();
  assert.deepEqual(one.logger.messages("error"), ["cannot take the issued log into the register, trying again"]);
  one.register.record = record;
  await part.renew?.();
  assert.equal((await one.read()).length, 1);
});

const SIGNER = "kubernetes.io/kubelet-serving";
const HEAD = JSON.stringify({ format: 1, writtenAt: 1_767_225_600_000 });
const START = 1_767_225_600;
const DAY = 86_400;
const line = (subject: string, days = 100, signer = SIGNER) =>
  JSON.stringify([signer, subject, START, START + days * DAY]);

async function openMigration(folder: TempFolder, ...lines: readonly string[]) {
  const clock = createFakeClock();
  const storage = createMemoryStorage({ clock });
  const register = await Register.open({ storage, clock, random: createSeededRandom() });
  const path = folder.join("issued-certificates.jsonl");
  await writeFile(path, `${lines.join("\n")}\n`);
  const logger = createMemoryLogger();
  const readSubjects = async () => {
    const records = (await storage.list(REGISTER_PREFIX)).items.map(({ object }) => object as IssuedCertificate);
    assert.equal((await verifyRecords(records, { cas: [] })).fault, undefined);
    return records.map(({ spec }) => spec.subject);
  };
  const migrate = () => migrateIssuedFile({ path, storage, register }, { files: createFilePort(), logger });
  return { storage, register, path, logger, readSubjects, migrate, list: () => readdir(folder.path) };
}

test("migrateIssuedFile() records the certificates of the file and removes it", async () => {
  await using folder = await createTempFolder();
  const names = Array.from({ length: 2_500 }, (_, index) => `CN=n${index}`);
  const { storage, register, migrate, list, readSubjects } = await openMigration(
    folder,
    HEAD,
    ...names.map((n) => line(n)),
  );
  await migrate();
  assert.deepEqual(await list(), []);
  assert.deepEqual(await readSubjects(), names);
  const { spec } = (await storage.get(`${REGISTER_PREFIX}0000000001`))!.object as IssuedCertificate;
  assert.equal(spec.source, "migration");
  assert.deepEqual([spec.notBefore, spec.notAfter], ["2026-01-01T00:00:00Z", "2026-04-11T00:00:00Z"]);
  assert.equal(
    register.index.findNewest({ signerName: SIGNER }, { username: "n7", groups: [] })?.until,
    START + 100 * DAY,
  );
  await migrate();
});

test("migrateIssuedFile() records no certificate twice: neither one with a request, nor after an interruption", async () => {
  await using folder = await createTempFolder();
  const { storage, register, path, migrate, readSubjects } = await openMigration(
    folder,
    HEAD,
    line("CN=a"),
    line("CN=b"),
  );
  const ca = await createSigningCa();
  const pem = await issueClientCertificate(ca, new Date(START * 1000), new Date((START + 100 * DAY) * 1000), "a");
  const certificate = Buffer.from(pem).toString("base64");
  const csr = await buildCsr({ name: "csr-a", certificate, signerName: SIGNER });
  await storage.create("/registry/certificatesigningrequests/csr-a", csr);
  await migrate();
  assert.deepEqual(await readSubjects(), ["CN=b"]);
  await writeFile(path, [HEAD, line("CN=b"), line("CN=c")].join("\n"));
  await migrate();
  assert.deepEqual(await readSubjects(), ["CN=b", "CN=c"]);
  assert.equal(register.index.head?.sequence, 2);
});

test("migrateIssuedFile() keeps and reports the lines that it cannot read", async () => {
  await using folder = await createTempFolder();
  const bad = ["no JSON", '["only a signer"]', '["a/b","CN=x","yesterday",5]', '["a/b","CN=x",1,1e300]'];
  const { path, migrate, list, readSubjects, logger } = await openMigration(
    folder,
    HEAD,
    bad[0]!,
    line("CN=a"),
    ...bad.slice(1),
  );
  await migrate();
  assert.deepEqual(await readSubjects(), ["CN=a"]);
  assert.deepEqual(await list(), ["issued-certificates.jsonl.rejected"]);
  const kept = `${path}.rejected`;
  assert.equal((await stat(kept)).mode & 0o777, 0o600);
  assert.equal(await readFile(kept, "utf8"), `${bad.join("\n")}\n`);
  const [warning] = logger.entries.filter(({ level }) => level === "warn");
  assert.deepEqual([warning?.fields["kept"], warning?.fields["lines"]], [kept, 4]);
  assert.match(String(warning?.fields["first"]), /^line 2: /);
  // A file of another format is kept in full.
  await writeFile(path, '{"format":2}\n["other"]\n');
  await migrate();
  assert.equal(await readFile(kept, "utf8"), `${[...bad, '{"format":2}', '["other"]'].join("\n")}\n`);
});

test("migrateIssuedFile() keeps the file until everything is recorded", async () => {
  await using folder = await createTempFolder();
  const { storage, migrate, list, readSubjects } = await openMigration(folder, HEAD, line("CN=a"));
  const { transact } = storage;
  storage.transact = () => Promise.reject(new Error("the disk is full"));
  await assert.rejects(migrate(), /the disk is full/);
  assert.deepEqual(await list(), ["issued-certificates.jsonl"]);
  storage.transact = transact;
  await migrate();
  assert.deepEqual([await list(), await readSubjects()], [[], ["CN=a"]]);
});
