import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createFilePort } from "../../client/files.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { verifyRecords } from "../../core/register/verify.ts";
import { Register, REGISTER_PREFIX } from "../../server/register/register.ts";
import { createMemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../../tests/support/temp.ts";
import { migrateIssuedFile } from "./issued_migration.ts";

const SIGNER = "kubernetes.io/kubelet-serving";
const HEAD = JSON.stringify({ format: 1, writtenAt: 1_767_225_600_000 });
const START = 1_767_225_600;
const DAY = 86_400;
const line = (subject: string, days = 100, signer = SIGNER) =>
  JSON.stringify([signer, subject, START, START + days * DAY]);

async function setUp(folder: TempFolder, ...lines: readonly string[]) {
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
  const { storage, register, migrate, list, readSubjects } = await setUp(folder, HEAD, ...names.map((n) => line(n)));
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

test("migrateIssuedFile() records nothing twice: neither what has a request, nor after an interruption", async () => {
  await using folder = await createTempFolder();
  const { storage, register, path, migrate, readSubjects } = await setUp(folder, HEAD, line("CN=a"), line("CN=b"));
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

test("migrateIssuedFile() keeps the lines that it cannot read, and says so", async () => {
  await using folder = await createTempFolder();
  const bad = ["no JSON", '["only a signer"]', '["a/b","CN=x","yesterday",5]', '["a/b","CN=x",1,1e300]'];
  const { path, migrate, list, readSubjects, logger } = await setUp(
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
  // The file of another format is kept as a whole.
  await writeFile(path, '{"format":2}\n["other"]\n');
  await migrate();
  assert.equal(await readFile(kept, "utf8"), `${[...bad, '{"format":2}', '["other"]'].join("\n")}\n`);
});

test("migrateIssuedFile() keeps the file until everything is recorded", async () => {
  await using folder = await createTempFolder();
  const { storage, migrate, list, readSubjects } = await setUp(folder, HEAD, line("CN=a"));
  const { transact } = storage;
  storage.transact = () => Promise.reject(new Error("the disk is full"));
  await assert.rejects(migrate(), /the disk is full/);
  assert.deepEqual(await list(), ["issued-certificates.jsonl"]);
  storage.transact = transact;
  await migrate();
  assert.deepEqual([await list(), await readSubjects()], [[], ["CN=a"]]);
});
