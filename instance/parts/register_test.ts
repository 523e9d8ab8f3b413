import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createFilePort } from "../../client/files.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { openRegister } from "./register.ts";
import { WriteRefusedError } from "../../server/storage/storage.ts";

test("openRegister() logs each certificate of an unknown user once, including those that another server records", async () => {
  await using folder = await createTempFolder();
  const earlierFile = folder.join("issued-certificates.jsonl");
  const line = (subject: string) => JSON.stringify(["example.com/a", subject, 1_767_225_600, 1_800_000_000]);
  await writeFile(earlierFile, ['{"format":1}', line("CN=al"), line("n1.example,n2.example")].join("\n"));
  const clock = createFakeClock("2026-06-01T00:00:00Z");
  await using storage = createMemoryStorage({ clock });
  const logger = createMemoryLogger();
  const authority = await createSigningCa();
  const deps = { clock, random: createSeededRandom(), logger, files: createFilePort() };
  const options = { storage, authority: () => authority, retentionMs: 1e12, earlierFile, audit: undefined };
  const opened = await openRegister(options, deps as unknown as Parameters<typeof openRegister>[1]);
  const listWarnings = () =>
    logger.entries.filter(({ message }) => message.includes("does not have the users")).map(({ fields }) => fields);
  assert.deepEqual(listWarnings(), [{ certificates: 1, records: "0000000002" }]);
  await opened.register.record({ fingerprint: "f", subject: "CN=a,CN=b", notBefore: null, notAfter: null }, []);
  for (const _ of ["first", "second"]) await opened.renew?.();
  assert.deepEqual(listWarnings().slice(1), [{ certificates: 1, records: "0000000003" }]);
  await opened[Symbol.asyncDispose]?.();
});

test("openRegister() records the certificates that a full storage refused once there is space, even after another failure", async () => {
  await using folder = await createTempFolder();
  const clock = createFakeClock("2026-06-01T00:00:00Z");
  await using storage = createMemoryStorage({ clock });
  const authority = await createSigningCa();
  const deps = { clock, random: createSeededRandom(), logger: createMemoryLogger(), files: createFilePort() };
  const earlierFile = folder.join("none");
  const options = { storage, authority: () => authority, retentionMs: 1e12, earlierFile, audit: undefined };
  const opened = await openRegister(options, deps as unknown as Parameters<typeof openRegister>[1]);
  const transact = storage.transact.bind(storage);
  storage.transact = () => Promise.reject(new WriteRefusedError("database space exceeded", "full"));
  await opened.recordUsed(authority.certificate, "ca");
  storage.transact = () => Promise.reject(new Error("no disk"));
  await assert.rejects(async () => await opened.renew?.(), /no disk/);
  storage.transact = transact;
  await opened.renew?.();
  assert.equal(opened.register.index.findSequence(authority.certificate.sha256Fingerprint), 1);
  await opened[Symbol.asyncDispose]?.();
});
