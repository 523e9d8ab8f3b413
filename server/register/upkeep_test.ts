import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import type { CaKey } from "../../core/ports.ts";
import { verifyRecords } from "../../core/register/verify.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createFakeClock, until } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { readChain } from "../../tests/support/issued_records.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import type { Storage } from "../storage/storage.ts";
import { Register, REGISTER_PREFIX } from "./register.ts";
import { followUnrecorded, RegisterUpkeep, type UpkeepDeps } from "./upkeep.ts";

const HOUR_MS = 3_600_000;
const ca = await createSigningCa();
const laterCa = await createSigningCa({ commonName: "later" });

async function createFixture(options: Pick<Partial<UpkeepDeps>, "authority"> = {}) {
  const clock = createFakeClock();
  const storage = createMemoryStorage({ clock });
  const register = await Register.open({ storage, clock, random: createSeededRandom() });
  const logger = createMemoryLogger();
  const deps = { storage, register, authority: () => ca, retentionMs: 365 * DAY_MS, clock, logger, ...options };
  let added = 0;
  return {
    ...deps,
    upkeep: new RegisterUpkeep(deps),
    /** Records certificates, each of which expired the given number of days ago. */
    async add(...endedDaysAgo: readonly number[]) {
      for (const days of endedDaysAgo) {
        const notAfter = new Date(clock.now().getTime() - days * DAY_MS).toISOString();
        await register.record({ fingerprint: String(++added), notBefore: null, notAfter }, []);
      }
    },
    [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
  };
}

const listSealed = async (storage: Storage) =>
  (await readChain(storage)).flatMap(({ spec, status }) => status.seal === undefined ? [] : [spec.sequence]);

test("RegisterUpkeep seals new records once a day", async () => {
  await using fixture = await createFixture();
  const { upkeep, storage, clock, add } = fixture;
  await upkeep.renew();
  assert.deepEqual(await listSealed(storage), [], "an empty register has nothing to seal");
  await add(0);
  await upkeep.renew();
  assert.deepEqual(await listSealed(storage), [1]);
  await add(0);
  await upkeep.renew();
  assert.deepEqual(await listSealed(storage), [1]);
  clock.set(DAY_MS);
  await upkeep.renew();
  assert.deepEqual(await listSealed(storage), [1, 2]);
  clock.set(DAY_MS);
  await upkeep.renew();
  assert.equal((await readChain(storage)).at(-1)?.status.seal?.time, "2026-01-03T00:00:00Z", "nothing was issued");
  await add(0);
  // The clock was far ahead, and has been set back.
  clock.set(-30 * DAY_MS);
  await upkeep.renew();
  assert.deepEqual(await listSealed(storage), [1, 2, 3]);
  const report = await verifyRecords(await readChain(storage), { cas: [ca.certificate] });
  assert.deepEqual([report.fault, report.sealedUpTo?.name], [undefined, "0000000003"]);
});

test("RegisterUpkeep seals when the CA has changed, and when it is disposed", async () => {
  await using fixture = await createFixture();
  const { storage, register, add } = fixture;
  await add(0);
  await fixture.upkeep.renew();
  await add(0);
  const next = new RegisterUpkeep({ ...fixture, authority: () => laterCa });
  await next.renew();
  assert.deepEqual(await listSealed(storage), [1, 2]);
  await add(0);
  await next[Symbol.asyncDispose]();
  assert.deepEqual(await listSealed(storage), [1, 2, 3]);
  const { revision } = (await storage.list(REGISTER_PREFIX)).items.at(-1)!;
  await next[Symbol.asyncDispose]();
  assert.equal(storage.revision(), revision, "a sealed head is not sealed again");
  assert.equal(register.index.lastSeal?.issuerFingerprint, laterCa.certificate.sha256Fingerprint);
  const report = await verifyRecords(await readChain(storage), { cas: [laterCa.certificate] });
  assert.deepEqual([report.fault, report.uncheckedSeals], [undefined, 1]);
});

test("RegisterUpkeep logs a key that cannot be used and tries again in an hour", async () => {
  let isLocked = true;
  const key: CaKey = {
    publicKey: () => ca.key.publicKey(),
    sign: (data, algorithm) => isLocked ? Promise.reject(new Error("no passphrase")) : ca.key.sign(data, algorithm),
  };
  await using fixture = await createFixture({ authority: () => ({ certificate: ca.certificate, key }) });
  const { upkeep, storage, clock, logger, add } = fixture;
  await add(0);
  await upkeep.renew();
  await upkeep.renew();
  assert.deepEqual(logger.messages(), ["cannot seal the register, trying again in an hour"]);
  isLocked = false;
  await upkeep.renew();
  assert.deepEqual(await listSealed(storage), []);
  await clock.advance(HOUR_MS);
  await upkeep.renew();
  assert.deepEqual(await listSealed(storage), [1]);
  isLocked = true;
  await add(0);
  await upkeep[Symbol.asyncDispose]();
  assert.match(logger.messages().at(-1)!, /^the register is not sealed/);
});

test("RegisterUpkeep replaces records by a sealed stub after their retention", async () => {
  await using fixture = await createFixture();
  const { upkeep, storage, register, clock, add } = fixture;
  await add(400, 366, ...Array.from({ length: 100 }, () => 500), 364, 500, 0);
  await upkeep.renew();
  const names = async () =>
    (await readChain(storage)).map(({ metadata, spec }) =>
      `${Number(metadata.name)}${spec.removed === undefined ? "" : ` from ${spec.removed.from}`}`
    );
  assert.deepEqual(await names(), ["102 from 1", "103", "104 from 104", "105"]);
  assert.equal(register.index.findSequence("1"), undefined);
  assert.equal(register.index.findSequence("103"), 103);
  const verify = async () => (await verifyRecords(await readChain(storage), { cas: [ca.certificate] })).fault;
  assert.equal(await verify(), undefined);
  await clock.advance(2 * DAY_MS);
  await upkeep.renew();
  assert.deepEqual(await names(), ["104 from 1", "105"]);
  assert.equal(await verify(), undefined);
  await register.record({ fingerprint: "new", notBefore: null, notAfter: null }, []);
  assert.equal(await verify(), undefined);
});

test("RegisterUpkeep finishes a removal that was interrupted, and the register is complete in between", async () => {
  await using fixture = await createFixture();
  const { upkeep, storage, clock, add } = fixture;
  await add(500, 500, 500, 500, 0);
  const remove = storage.delete;
  let left = 1;
  storage.delete = (key, revision) =>
    left-- > 0 ? remove.call(storage, key, revision) : Promise.reject(new Error("killed"));
  await upkeep.renew();
  const verify = async () => (await verifyRecords(await readChain(storage), { cas: [ca.certificate] })).fault;
  assert.equal((await readChain(storage)).length, 4);
  assert.equal(await verify(), undefined);
  storage.delete = remove;
  await clock.advance(HOUR_MS);
  await upkeep.renew();
  assert.equal((await readChain(storage)).length, 2);
  assert.equal(await verify(), undefined);
});

test("RegisterUpkeep deletes the records of requests that are gone", async () => {
  await using fixture = await createFixture();
  const { upkeep, storage } = fixture;
  const put = async (plural: string, name: string, object: object) =>
    await storage.create(`/registry/${plural}/${name}`, object as KubeObject);
  const record = (name: string, requestUID: string) =>
    put("tlsboot/requestrecords", name, { metadata: { name }, spec: { requestUID }, status: {} });
  await put("certificatesigningrequests", "kept", { metadata: { name: "kept", uid: "1" }, status: {} });
  await put("certificatesigningrequests", "other", { metadata: { name: "other", uid: "2" }, status: {} });
  await record("kept", "1");
  await record("other", "1");
  await record("gone", "3");
  await upkeep.renew();
  const { items } = await storage.list("/registry/tlsboot/requestrecords/");
  assert.deepEqual(items.map(({ object }) => object.metadata.name), ["kept"]);
});

test("followUnrecorded() records each certificate without a record once", async () => {
  await using fixture = await createFixture();
  const { storage, register, clock, logger } = fixture;
  const issue = async (name: string) => {
    const validity = [new Date("2026-01-01T00:00:00Z"), new Date("2027-01-01T00:00:00Z")] as const;
    return Buffer.from(await issueClientCertificate(ca, ...validity, name)).toString("base64");
  };
  const put = async (name: string, certificate: string) => {
    const csr = await buildCsr({ name, certificate, username: "jane" });
    await storage.create(`/registry/certificatesigningrequests/${name}`, csr);
  };
  await put("old", await issue("old"));
  await put("malformed", "AAAA");
  const known = await issue("known");
  const leaf = parseCertificate(findPemBlock(Buffer.from(known, "base64").toString())!.block.bytes);
  assert.ok(leaf.ok);
  await register.ensureRecorded(leaf.value, "sign");
  await put("known", known);
  using _following = await followUnrecorded({ storage, register, clientCas: () => [ca.certificate], clock, logger });
  await put("foreign", await issue("foreign"));
  await clock.advance(1_000);
  await until(() => register.index.size === 3);
  // A duplicate record of an earlier certificate would precede the record of this one.
  await put("last", await issue("last"));
  await clock.advance(1_000);
  await until(() => register.index.size === 4);
  const records = await readChain(storage);
  assert.deepEqual(records.map(({ spec }) => [spec.source, spec.request?.name, spec.requester?.username]), [
    ["sign", undefined, undefined],
    ["CertificateSigningRequest", "old", "jane"],
    ["CertificateSigningRequest", "foreign", "jane"],
    ["CertificateSigningRequest", "last", "jane"],
  ]);
  assert.equal((await verifyRecords(records, { cas: [] })).fault, undefined);
});
