import assert from "node:assert/strict";
import { test } from "node:test";
import "reflect-metadata";
import { X509Crl } from "@peculiar/x509";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { parseCrl } from "../../core/pki/authority/crl.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import type { CertificateRevocation, IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { formatRecordName } from "../../core/register/record.ts";
import { createRevocation } from "../../core/revocation/revocation.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createIntermediate, createTestAuthority, NOW, unwrap } from "../../tests/support/test_authority.ts";
import { openCrlFiles } from "./crl_files.ts";

const PATHS = { certificate: "/data/pki/ca.crt", key: "/data/pki/ca.key" };
const FILE = "/data/pki/ca.crl";

async function setUp(ca?: Authority) {
  const authority = ca ?? await createTestAuthority();
  const clock = createFakeClock(NOW);
  const storage = createMemoryStorage({ clock });
  const logger = createMemoryLogger();
  const texts: Record<string, string> = {};
  let writes = 0;
  const state = { isFull: false, isUnsynced: false };
  const files = {
    readText: (path: string) => Promise.resolve(texts[path]),
    writeAtomic(path: string, text: string, mode: number) {
      assert.equal(mode, 0o644);
      if (state.isFull) return Promise.reject(new Error("no space left on device"));
      writes += 1;
      texts[path] = text;
      return state.isUnsynced ? Promise.reject(new Error("input/output error")) : Promise.resolve();
    },
    unlink(path: string) {
      delete texts[path];
      return Promise.resolve();
    },
  };
  const deps = { files, clock, random: createSeededRandom(1), logger };
  const { sha256Fingerprint } = authority.certificate;

  /** Stores a record of the CA, which is revoked if a revocation is given. */
  async function record(sequence: number, revocation?: CertificateRevocation, issuerFingerprint = sha256Fingerprint) {
    const name = formatRecordName(sequence);
    const key = `/registry/tlsboot/issuedcertificates/${name}`;
    const spec = {
      sequence,
      serialNumber: `7f${String(sequence).padStart(4, "0")}`,
      issuerFingerprint,
      notBefore: "2026-11-01T00:00:00Z",
      notAfter: "2026-11-26T00:00:00Z",
      issuedAt: "2026-11-01T00:00:00Z",
    };
    const status = revocation === undefined ? {} : { revocation };
    const object: IssuedCertificate = {
      apiVersion: "tlsboot/v1alpha1",
      kind: "IssuedCertificate",
      metadata: { name },
      spec,
      status,
    };
    const stored = await storage.get(key);
    if (stored === undefined) await storage.create(key, object);
    else await storage.update(key, object, stored.revision);
  }

  function readSerials(): readonly string[] {
    const found = findPemBlock(texts[FILE] ?? "");
    assert.equal(found?.block.label, "X509 CRL");
    return new X509Crl(found.block.bytes).entries.map(({ serialNumber }) => serialNumber);
  }

  function readFacts() {
    const found = findPemBlock(texts[FILE] ?? "");
    assert.ok(found !== undefined);
    return unwrap(parseCrl(found.block.bytes));
  }

  return {
    authority,
    clock,
    storage,
    logger,
    texts,
    state,
    deps,
    record,
    readSerials,
    readFacts,
    writes: () => writes,
  };
}

function revoke(reason = "keyCompromise"): CertificateRevocation {
  return { name: "serial:7f0001", reason, time: NOW.toISOString() };
}

test("openCrlFiles() makes the CRL at the start, in the file and for clients", async () => {
  const one = await setUp();
  await one.record(1, revoke());
  await one.record(2);
  await one.record(3, revoke(), "another CA");
  await using crls = await openCrlFiles(one.storage, one.deps);
  assert.equal(crls.find("ca.crl"), undefined);
  await crls.add(PATHS, () => Promise.resolve(one.authority));
  assert.deepEqual(one.readSerials(), ["7f0001"]);
  const found = findPemBlock(one.texts[FILE] ?? "");
  assert.deepEqual(crls.find("ca.crl"), found?.block.bytes);
  assert.equal(crls.find("ca.key"), undefined);
});

test("openCrlFiles() makes a new CRL for each revocation, and when one is taken back", async () => {
  const { clock, record, readSerials, readFacts, storage, deps, authority, writes } = await setUp();
  await record(1);
  await using crls = await openCrlFiles(storage, deps);
  await crls.add(PATHS, () => Promise.resolve(authority));
  assert.deepEqual(readSerials(), []);
  await clock.advance(1_000);
  const first = readFacts();
  await record(1, revoke("certificateHold"));
  await eventually("a CRL with one entry", () => Promise.resolve(readSerials().length === 1 || undefined));
  assert.ok((readFacts().number ?? 0n) > (first.number ?? 0n));
  await record(1);
  await record(2);
  const made = writes();
  await clock.advance(1_000);
  await eventually("a CRL without entries", () => Promise.resolve(readSerials().length === 0 || undefined));
  await clock.advance(10_000);
  assert.equal(writes(), made + 1, "records that are not revoked make no CRL");
});

test("openCrlFiles() lists a serial number that was revoked although no record has it", async () => {
  const { clock, storage, deps, authority, readSerials } = await setUp();
  await using crls = await openCrlFiles(storage, deps);
  await crls.add(PATHS, () => Promise.resolve(authority));
  await clock.advance(1_000);
  const revocation = createRevocation({ kind: "serial", value: "7f09" }, { reason: "superseded", isUnrecorded: true });
  const object = { ...revocation, status: { time: NOW.toISOString() } };
  const { revision } = await storage.create("/registry/tlsboot/revocations/serial:7f09", object);
  await eventually("a CRL with it", () => Promise.resolve(readSerials()[0] === "7f09" || undefined));
  await storage.delete("/registry/tlsboot/revocations/serial:7f09", revision);
  await clock.advance(1_000);
  await eventually("a CRL without it", () => Promise.resolve(readSerials().length === 0 || undefined));
});

test("openCrlFiles() makes one CRL for many revocations in a row", async () => {
  const { clock, record, readSerials, storage, deps, authority, writes } = await setUp();
  await using crls = await openCrlFiles(storage, deps);
  await crls.add(PATHS, () => Promise.resolve(authority));
  for (let sequence = 1; sequence <= 50; sequence++) await record(sequence, revoke());
  await clock.advance(1_000);
  await eventually("a CRL with all entries", () => Promise.resolve(readSerials().length === 50 || undefined));
  assert.equal(writes(), 2);
});

test("openCrlFiles() renews a CRL once a day, and drops an expired certificate after listing it once more", async () => {
  const { clock, record, readSerials, storage, deps, authority, writes } = await setUp();
  await record(1, revoke());
  await using crls = await openCrlFiles(storage, deps);
  await crls.add(PATHS, () => Promise.resolve(authority));
  const lists: (readonly string[])[] = [];
  for (let day = 1; day <= 3; day++) {
    await clock.advance(DAY_MS - 60_000);
    await crls.renew();
    assert.equal(writes(), day, "it is not a day old");
    await clock.advance(60_000);
    await crls.renew();
    assert.equal(writes(), day + 1);
    lists.push(readSerials());
  }
  assert.deepEqual(lists, [["7f0001"], [], []]);
});

test("openCrlFiles() increases the number across restarts, and after the clock was set back", async () => {
  const { clock, storage, deps, authority, readFacts } = await setUp();
  const numbers: bigint[] = [];
  for (const jump of [0, 1_000, -DAY_MS, 1_000]) {
    clock.jump(jump);
    await using crls = await openCrlFiles(storage, deps);
    await crls.add(PATHS, () => Promise.resolve(authority));
    numbers.push(readFacts().number ?? 0n);
  }
  assert.deepEqual(numbers, [...numbers].sort((a, b) => (a < b ? -1 : 1)));
  assert.equal(new Set(numbers).size, numbers.length);
});

test("openCrlFiles() keeps the old CRL when a new one cannot be written, and tries again", async () => {
  const { clock, record, readSerials, storage, deps, authority, state, logger } = await setUp();
  await using crls = await openCrlFiles(storage, deps);
  await crls.add(PATHS, () => Promise.resolve(authority));
  await clock.advance(1_000);
  const old = crls.find("ca.crl");
  state.isFull = true;
  await record(1, revoke());
  await eventually("the failure", () => Promise.resolve(logger.entries.find(({ level }) => level === "error")));
  assert.equal(crls.find("ca.crl"), old);
  state.isFull = false;
  await clock.advance(5_000);
  assert.deepEqual(readSerials(), []);
  await crls.renew();
  assert.deepEqual(readSerials(), ["7f0001"]);
});

test("openCrlFiles() uses no number twice when a CRL was written but its folder cannot be synced", async () => {
  const { clock, storage, deps, authority, state, readFacts } = await setUp();
  await using crls = await openCrlFiles(storage, deps);
  await crls.add(PATHS, () => Promise.resolve(authority));
  await clock.advance(1_000);
  // From now on each number is the previous one plus one instead of the time.
  clock.jump(-DAY_MS);
  const numbers = [readFacts().number ?? 0n];
  for (const isUnsynced of [true, false]) {
    state.isUnsynced = isUnsynced;
    await crls.renew();
    numbers.push(readFacts().number ?? 0n);
    await clock.advance(1_000);
  }
  assert.equal(new Set(numbers).size, 3, `${numbers}`);
});

test("openCrlFiles() ignores a file without a CRL of the CA, and logs a CA that may not sign CRLs", async () => {
  const root = await createTestAuthority();
  const one = await setUp(await createIntermediate(root, "kubeadm", { usages: ["cert sign"] }));
  one.texts[FILE] = "nonsense";
  await using crls = await openCrlFiles(one.storage, one.deps);
  await crls.add(PATHS, () => Promise.resolve(one.authority));
  assert.deepEqual(one.readSerials(), []);
  assert.ok(one.logger.entries.some(({ fields }) => `${fields?.["reason"]}`.includes("lacks cRLSign")));
});
