import assert from "node:assert/strict";
import { appendFile, readFile, rename, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { verifyRecords } from "../../core/register/verify.ts";
import { Register } from "../../server/register/register.ts";
import { createMemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { createTestAuthority, hoursFromNow, NOW, planTestLeaf } from "../../tests/support/test_authority.ts";
import { openIssuedLog } from "../authority/issued_log.ts";
import { takeOverIssuedLog } from "./issued_log_takeover.ts";

const DAY_MS = 86_400_000;

async function setUp() {
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

  /** The records of the register as the API has them. The chain must be right. */
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
  await using one = await setUp();
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

test("takeOverIssuedLog() takes new lines each minute, and a file that replaces the old one", async () => {
  await using one = await setUp();
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

test("takeOverIssuedLog() leaves a line alone that is being written", async () => {
  await using one = await setUp();
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

test("takeOverIssuedLog() logs a line that is no record, and takes the others", async () => {
  await using one = await setUp();
  await one.sign(1);
  await appendFile(one.path, 'hello\n{"spec":{"sequence":2,"dnsNames":"a"}}\n{"spec":{"sequence":2,"unknown":1}}\n');
  const part = await one.takeOver();
  await part.renew?.();
  assert.equal((await one.read()).length, 1);
  assert.deepEqual(one.logger.entries.map(({ fields }) => fields["line"]), [2, 3, 4]);
});

test("takeOverIssuedLog() takes no record that the register would remove", async () => {
  await using one = await setUp();
  await one.sign(1);
  one.clock.set(hoursFromNow(48).getTime() - NOW.getTime());
  await one.takeOver();
  assert.deepEqual([...await one.read()], []);
});

test("takeOverIssuedLog() tries again after a failure of the storage", async () => {
  await using one = await setUp();
  await one.sign(1);
  const { record } = one.register;
  one.register.record = () => Promise.reject(new Error("disk"));
  const part = await one.takeOver();
  assert.deepEqual(one.logger.messages("error"), ["cannot take the issued log into the register, trying again"]);
  one.register.record = record;
  await part.renew?.();
  assert.equal((await one.read()).length, 1);
});
