import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { issuedCertificateKind } from "../kube/kinds/mod.ts";
import { storedForm } from "../kube/wire/stored_form.ts";
import { decodeObject } from "../kube/wire/object_json.ts";
import type { IssuedCertificateSpec, RegisterSeal } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { parseCertificate } from "../pki/x509/certificate.ts";
import { issueCertificate } from "../pki/authority/issue.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import {
  createRecord,
  createSeal,
  createStub,
  describeIssued,
  encodeCanonicalJson,
  formatRecordName,
  getChainHash,
  hashRecord,
  planPruning,
} from "./record.ts";
import { type CheckedRecord, verifyRecords } from "./verify.ts";

const NOW = new Date("2026-11-28T02:00:00Z");
const ca = await createSigningCa();
const otherCa = await createSigningCa({ commonName: "other", keyAlgorithm: "rsa-2048" });

interface TestRecord {
  metadata: { name: string };
  spec: IssuedCertificateSpec;
  status: { seal?: RegisterSeal };
}

/** A register of records that hold only what its checks read. */
function createChain(length: number): TestRecord[] {
  const records: TestRecord[] = [];
  for (let sequence = 1; sequence <= length; sequence++) {
    const previous = records.at(-1)?.spec;
    const description = {
      serialNumber: String(sequence),
      fingerprint: `f${sequence}`,
      subject: `CN=n${sequence}`,
      notBefore: "2026-01-01T00:00:00Z",
      notAfter: `202${sequence}-06-01T00:00:00Z`,
    };
    const spec = createRecord(description, {
      sequence,
      ...(previous === undefined ? {} : { previousHash: hashRecord(previous) }),
      issuedAt: NOW,
    });
    records.push({ metadata: { name: formatRecordName(sequence) }, spec, status: {} });
  }
  return records;
}

/** Computes all hashes from a record on again, as someone who edits the register could do. */
function rehash(records: TestRecord[], from: number): void {
  for (let index = from; index < records.length; index++) {
    records[index]!.spec = { ...records[index]!.spec, previousHash: getChainHash(records[index - 1]!.spec) };
  }
}

const edit = (record: TestRecord | undefined, change: Partial<IssuedCertificateSpec>): void => {
  record!.spec = { ...record!.spec, ...change };
};
const seal = async (record: TestRecord | undefined, by = ca): Promise<void> => {
  record!.status = { seal: await createSeal(record!.spec, by, NOW) };
};

test("createRecord() of a certificate returns its stored form", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  const der = await issueCertificate(
    {
      subject: { commonName: "system:node:n1", organizations: ["system:nodes"] },
      publicKeyDer: key.publicKeyDer(),
      dnsNames: ["n1"],
      ipAddresses: ["10.0.0.1"],
      emailAddresses: [],
      uris: [],
      notBefore: NOW,
      notAfter: new Date("2027-11-28T02:00:00Z"),
      usages: ["digital signature", "server auth", "client auth"],
      isCa: false,
    },
    ca,
    Uint8Array.of(0, 0xa, 0xbc),
  );
  const certificate = parseCertificate(der);
  assert.ok(certificate.ok);
  const spec = createRecord(
    describeIssued(certificate.value, {
      source: "CertificateSigningRequest",
      issuerFingerprint: ca.certificate.sha256Fingerprint,
      signerName: "kubernetes.io/kubelet-serving",
      request: { name: "csr-1", uid: "u" },
      requester: { username: "system:node:n1", groups: ["system:nodes"], address: "10.0.0.1" },
      approval: { username: "admin", reason: "Checked", time: "2026-11-28T01:00:00Z" },
    }),
    { sequence: 7, previousHash: "aa", issuedAt: NOW, replaces: "0000000003" },
  );
  assert.deepEqual(spec, {
    sequence: 7,
    previousHash: "aa",
    serialNumber: "0abc",
    fingerprint: createHash("sha256").update(der).digest("hex"),
    issuer: "CN=test-ca",
    issuerFingerprint: ca.certificate.sha256Fingerprint,
    signerName: "kubernetes.io/kubelet-serving",
    subject: "CN=system:node:n1,O=system:nodes",
    dnsNames: ["n1"],
    ipAddresses: ["10.0.0.1"],
    usages: ["digital signature", "server auth", "client auth"],
    publicKeyFingerprint: createHash("sha256").update(key.publicKeyDer()).digest("hex"),
    notBefore: "2026-11-28T02:00:00Z",
    notAfter: "2027-11-28T02:00:00Z",
    issuedAt: "2026-11-28T02:00:00Z",
    source: "CertificateSigningRequest",
    request: { name: "csr-1", uid: "u" },
    requester: { username: "system:node:n1", groups: ["system:nodes"], address: "10.0.0.1" },
    approval: { username: "admin", reason: "Checked", time: "2026-11-28T01:00:00Z" },
    replaces: "0000000003",
  });
  // The hash must not change when the record is encoded and decoded.
  const object = { metadata: { name: "0000000007" }, spec, status: {} };
  const { schema } = issuedCertificateKind;
  assert.equal(JSON.stringify(storedForm(schema, object)), JSON.stringify(object));
  const stub = { ...object, spec: createStub(spec, spec, NOW) };
  for (const one of [object, stub]) {
    const decoded = decodeObject(schema, JSON.parse(JSON.stringify(one))).object;
    assert.equal(JSON.stringify(decoded), JSON.stringify(one));
  }
});

test("hashRecord() is SHA-256 of canonical JSON", () => {
  const spec: IssuedCertificateSpec = {
    sequence: 1,
    subject: "CN=é<&>\u0001",
    notBefore: null,
    notAfter: null,
    issuedAt: null,
    request: { uid: "u", name: "n" },
  };
  const json =
    '{"issuedAt":null,"notAfter":null,"notBefore":null,"request":{"name":"n","uid":"u"},"sequence":1,"subject":"CN=é<&>\\u0001"}';
  assert.equal(encodeCanonicalJson(spec), json);
  assert.equal(hashRecord(spec), createHash("sha256").update(json).digest("hex"));
  // A member named `__proto__` is a part of the record too.
  const edited = JSON.parse('{"__proto__":{"a":1}}') as unknown;
  assert.equal(encodeCanonicalJson(edited), '{"__proto__":{"a":1}}');
});

for (
  const { name, records = () => createChain(5), change, fault } of [
    { name: "no fault in a register", change: () => {}, fault: undefined },
    { name: "no fault in an empty register", records: () => [], change: () => {}, fault: undefined },
    {
      name: "a changed record",
      change: (records) => edit(records[2], { subject: "CN=mallory" }),
      fault: ["0000000003", "was changed"],
    },
    {
      name: "a changed previousHash",
      change: (records) => edit(records[2], { previousHash: "0".repeat(64) }),
      fault: ["0000000003", "was changed"],
    },
    {
      name: "a changed record before the last one",
      change: (records) => edit(records[3], { subject: "CN=mallory" }),
      fault: ["0000000004", "was changed"],
    },
    {
      name: "a changed first record",
      change: (records) => edit(records[0], { notAfter: null }),
      fault: ["0000000001", "was changed"],
    },
    {
      name: "a removed record",
      change: (records) => records.splice(2, 1),
      fault: ["0000000003", "is missing: 0000000004 follows 0000000002"],
    },
    {
      name: "removed first records",
      change: (records) => records.splice(0, 2),
      fault: ["0000000001", "is missing: 0000000003 is the first record"],
    },
    {
      name: "a first record that holds a hash",
      change: (records) => edit(records[0], { previousHash: "aa" }),
      fault: ["0000000001", "is the first, but holds"],
    },
    {
      name: "a record twice",
      change: (records) => records.splice(2, 0, records[1]!),
      fault: ["0000000002", "is out of order: it follows 0000000002"],
    },
    {
      name: "a record under another name",
      change: (records) => records[2]!.metadata.name = "0000000009",
      fault: ["0000000009", "has the sequence number 3 of another record"],
    },
    {
      name: "a record without a spec",
      change: (records) => delete (records[2] as Partial<TestRecord>).spec,
      fault: ["0000000003", "is not a record"],
    },
    {
      name: "a certificate that is recorded twice",
      change(records) {
        edit(records[3], { fingerprint: "f2" });
        rehash(records, 4);
      },
      fault: ["0000000004", "records the same certificate as 0000000002"],
    },
    {
      name: "a changed record although all hashes were computed again, by a seal",
      async change(records) {
        await seal(records[1]);
        await seal(records[4]);
        edit(records[2], { subject: "CN=mallory" });
        rehash(records, 3);
      },
      fault: ["0000000005", "does not match its seal: it was changed, or the hashes since 0000000002"],
    },
    {
      name: "a changed record before the last one, by a seal",
      async change(records) {
        await seal(records[4]);
        edit(records[3], { subject: "CN=mallory" });
      },
      fault: ["0000000004", "was changed"],
    },
    {
      name: "a stub without a seal",
      change(records) {
        const stub = createStub(records[0]!.spec, records[2]!.spec, NOW);
        records.splice(0, 3, { metadata: { name: "0000000003" }, spec: stub, status: {} });
      },
      fault: ["0000000003", "replaces removed records, but no CA has sealed it"],
    },
  ] satisfies readonly {
    name: string;
    records?: () => TestRecord[];
    change: (records: TestRecord[]) => unknown;
    fault: readonly [string, string] | undefined;
  }[]
) {
  test(`verifyRecords() finds ${name}`, async () => {
    const chain = records();
    await change(chain);
    const report = await verifyRecords(chain as readonly CheckedRecord[], { cas: [ca.certificate] });
    if (fault === undefined) return assert.equal(report.fault, undefined);
    assert.equal(report.fault?.name, fault[0]);
    assert.ok(report.fault.problem.startsWith(fault[1]), report.fault.problem);
  });
}

test("verifyRecords() reports the head, the last valid seal and seals that it could not check", async () => {
  const records = createChain(5);
  await seal(records[1]);
  await seal(records[2], otherCa);
  const report = await verifyRecords(records, { cas: [ca.certificate] });
  assert.deepEqual(report, {
    records: 5,
    head: { name: "0000000005", hash: hashRecord(records[4]!.spec) },
    sealedUpTo: {
      name: "0000000002",
      time: "2026-11-28T02:00:00Z",
      issuerFingerprint: ca.certificate.sha256Fingerprint,
    },
    uncheckedSeals: 1,
  });
  const both = await verifyRecords(records, { cas: [ca.certificate, otherCa.certificate] });
  assert.deepEqual([both.sealedUpTo?.name, both.uncheckedSeals], ["0000000003", 0]);
  // The records of an issued log have no names.
  const lines = records.map(({ spec }) => ({ spec }));
  assert.equal((await verifyRecords(lines, { cas: [] })).head?.name, "0000000005");
});

for (
  const { name, length = 5, sequence, hash, fault } of [
    { name: "a record that is there", sequence: 3, fault: undefined },
    { name: "the last record", sequence: 5, fault: undefined },
    {
      name: "a record that was cut off",
      length: 4,
      sequence: 5,
      fault: /^is expected, .*: the register ends with 0{9}4$/,
    },
    {
      name: "a record of an empty register",
      length: 0,
      sequence: 1,
      fault: /^is expected, .*: the register is empty$/,
    },
    {
      name: "a record with another hash",
      sequence: 2,
      hash: "0".repeat(64),
      fault: /^has the hash \w{64}, but 0{64} is/,
    },
  ] satisfies readonly { name: string; length?: number; sequence: number; hash?: string; fault: RegExp | undefined }[]
) {
  test(`verifyRecords() expects ${name}`, async () => {
    const records = createChain(5);
    const expected = { sequence, hash: hash ?? hashRecord(records[sequence - 1]!.spec) };
    const report = await verifyRecords(records.slice(0, length), { cas: [], expected });
    if (fault === undefined) return assert.equal(report.fault, undefined);
    assert.equal(report.fault?.name, formatRecordName(sequence));
    assert.match(report.fault.problem, fault);
  });
}

test("verifyRecords() cannot find an expected record that was removed after its retention, unless it is the last one of a stub", async () => {
  const records = createChain(4);
  const [first, second, third] = records.map(({ spec }) => spec) as [
    IssuedCertificateSpec,
    IssuedCertificateSpec,
    IssuedCertificateSpec,
  ];
  records.splice(0, 3, { metadata: { name: "0000000003" }, spec: createStub(first, third, NOW), status: {} });
  await seal(records[0]);
  const expect = async (sequence: number, spec: IssuedCertificateSpec) =>
    (await verifyRecords(records, { cas: [], expected: { sequence, hash: hashRecord(spec) } })).fault;
  assert.equal(await expect(3, third), undefined);
  assert.match((await expect(2, second))!.problem, /^replaces 0000000002, which was removed after its retention$/);
});

const later = (days: number) => new Date(NOW.getTime() + days * 86_400_000);

for (
  const { name, days, change, want } of [
    { name: "a register that is sealed", days: 2, change: (records) => seal(records[4]), want: undefined },
    { name: "a register of today", days: 2, change: () => {}, want: undefined },
    { name: "a register without a seal", days: 3, change: () => {}, want: /^has no seal of the CA$/ },
    {
      name: "a register with seals only of another CA",
      days: 3,
      change: (records) => seal(records[4], otherCa),
      want: /^has no seal of the CA$/,
    },
    {
      name: "a register whose newest sealed record was cut off",
      days: 3,
      change: (records) => seal(records[1]),
      want: /^was sealed for the last time at 2026-11-28T02:00:00Z$/,
    },
    {
      name: "a register that was cut off after a stub of today",
      days: 3,
      async change(records) {
        records.splice(2);
        records.splice(0, 2, {
          metadata: { name: "0000000002" },
          spec: createStub(records[0]!.spec, records[1]!.spec, later(3)),
          status: {},
        });
        records[0]!.status = { seal: await createSeal(records[0]!.spec, ca, later(3)) };
      },
      want: /^has no seal of the CA$/,
    },
    {
      name: "a register of a stub that was sealed again as its end",
      days: 3,
      async change(records) {
        records.splice(0, 5, {
          metadata: { name: "0000000005" },
          spec: createStub(records[0]!.spec, records[4]!.spec, NOW),
          status: {},
        });
        records[0]!.status = { seal: await createSeal(records[0]!.spec, ca, later(3)) };
      },
      want: undefined,
    },
  ] satisfies readonly {
    name: string;
    days: number;
    change: (records: TestRecord[]) => unknown;
    want: RegExp | undefined;
  }[]
) {
  test(`verifyRecords() looks for the daily seal of ${name}`, async () => {
    const records = createChain(5);
    await change(records);
    const report = await verifyRecords(records, { cas: [ca.certificate], now: later(days) });
    assert.equal(report.fault, undefined);
    if (want === undefined) assert.equal(report.overdueSeal, undefined);
    else assert.match(report.overdueSeal ?? "", want);
    const log = await verifyRecords(records, { cas: [ca.certificate] });
    assert.equal(log.overdueSeal, undefined, "a log is sealed only when it is written");
  });
}

test("verifyRecords() refuses a seal whose time was changed", async () => {
  const records = createChain(1);
  await seal(records[0]);
  records[0]!.status = { seal: { ...records[0]!.status.seal!, time: "2027-01-01T00:00:00Z" } };
  const { fault } = await verifyRecords(records, { cas: [ca.certificate] });
  assert.match(fault!.problem, /^does not match its seal: it was changed, or the hashes since the first record/);
});

test("planPruning() and createStub() keep the chain, also when a removal is interrupted and when stubs meet", async () => {
  const records = createChain(6);
  edit(records[3], { notAfter: null });
  rehash(records, 4);
  const plan = (endedBefore: string) => planPruning(records.map(({ spec }) => spec), new Date(endedBefore));
  assert.deepEqual(plan("2020-01-01T00:00:00Z"), []);
  const [run, ...more] = plan("2024-01-01T00:00:00Z");
  assert.deepEqual([run, more], [{ first: 1, last: 3 }, []]);

  const stub = createStub(records[0]!.spec, records[2]!.spec, NOW);
  records[2] = { metadata: { name: "0000000003" }, spec: stub, status: {} };
  await seal(records[2]);
  const verify = () => verifyRecords(records, { cas: [ca.certificate] });
  assert.equal((await verify()).fault, undefined, "the removed records are still there");
  records.splice(1, 1);
  assert.equal((await verify()).fault, undefined, "the oldest of the removed records is still there");
  records.splice(0, 1);
  assert.equal((await verify()).fault, undefined);

  assert.deepEqual(plan("2024-01-01T00:00:00Z"), [], "a stub alone stays");
  assert.deepEqual(plan("2025-12-01T00:00:00Z"), [{ first: 5, last: 5 }], "a record of unknown end stays");
  edit(records[1], { notAfter: "2023-01-01T00:00:00Z" });
  rehash(records, 1);
  assert.deepEqual(plan("2025-12-01T00:00:00Z"), [{ first: 3, last: 5 }]);
  const merged = createStub(records[0]!.spec, records[2]!.spec, NOW);
  assert.deepEqual(merged.removed?.from, 1);
  records.splice(0, 3, { metadata: { name: "0000000005" }, spec: merged, status: {} });
  await seal(records[0]);
  assert.equal((await verify()).fault, undefined);
  const { removed, ...rest } = merged;
  records[0]!.spec = { ...rest, removed: { ...removed!, hash: "0".repeat(64) } };
  assert.match((await verify()).fault!.problem, /does not match its seal/);
});
