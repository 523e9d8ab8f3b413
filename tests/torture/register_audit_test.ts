import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createRecords, type RecordEdit } from "../support/issued_records.ts";
import { createSigningCa, issueClientCertificate } from "../support/signing_ca.ts";
import { hoursFromNow, NOW } from "../support/test_authority.ts";
import type { Shown } from "./ledger.ts";
import { findIssued, findRegisterFaults, findStoredFaults, listIssued, RegisterAudit } from "./register_audit.ts";

const ca = await createSigningCa();

async function createRequest(name: string): Promise<Shown> {
  const pem = await issueClientCertificate(ca, NOW, hoursFromNow(1), name);
  return { metadata: { name, uid: `uid-${name}` }, status: { certificate: Buffer.from(pem).toString("base64") } };
}

/** Creates a register of the certificates of requests. */
function createRegister(requests: readonly Shown[], edit: RecordEdit = {}): readonly IssuedCertificate[] {
  return createRecords(requests.map((request) => ({
    fingerprint: listIssued([request])[0]!.fingerprint,
    request: { name: request.metadata.name!, uid: request.metadata.uid! },
    ...edit,
  })));
}

const [a, b, c] = await Promise.all(["a", "b", "c"].map(createRequest)) as [Shown, Shown, Shown];
const pending: Shown = { metadata: { name: "d", uid: "uid-d" }, status: {} };
const withoutCertificate: Shown = { metadata: b.metadata, status: {} };

for (
  const { name, recorded, requests, want } of [
    { name: "no fault if each certificate has a record", recorded: [a, b], requests: [b, pending], want: [] },
    {
      name: "a certificate without a record",
      recorded: [a],
      requests: [a, b],
      want: ["request b: its certificate has no record"],
    },
    {
      name: "a request with two records",
      recorded: [a, b, { ...c, metadata: a.metadata }],
      requests: [b],
      want: ["request a: has the records 0000000001 and 0000000003"],
    },
    {
      name: "a record whose request has no certificate",
      recorded: [a, b],
      requests: [a, withoutCertificate],
      want: ["request b: record 0000000002 is of a certificate that the request does not have"],
    },
    {
      name: "an unreadable certificate",
      recorded: [a],
      requests: [a, { ...b, status: { certificate: "AAAA" } }],
      want: ["request b: its certificate has no record"],
    },
  ]
) {
  test(`findRegisterFaults() and findStoredFaults() find ${name}`, () => {
    const records = createRegister(recorded);
    assert.deepEqual(findRegisterFaults(records, { issued: listIssued(requests), requests }), want);
    const stored = [
      ...records.map((record) => [`/registry/tlsboot/issuedcertificates/${record.metadata.name}`, record] as const),
      ...requests.map((request) => [`/registry/certificatesigningrequests/${request.metadata.name}`, request] as const),
    ];
    assert.deepEqual(findStoredFaults(new Map<string, KubeObject>(stored)), want);
  });
}

test("findRegisterFaults() finds the missing record of a deleted request", () => {
  const issued = [findIssued("csr a", "uid-a", a.status!.certificate)!];
  assert.deepEqual(findRegisterFaults([], { issued, requests: [] }), ["csr a: its certificate has no record"]);
});

test("findRegisterFaults() finds a serial number with two records", () => {
  const requests = [a, b];
  assert.deepEqual(
    findRegisterFaults(createRegister(requests, { serialNumber: "0abc" }), { issued: listIssued(requests), requests }),
    [
      "serial number 0abc has the records 0000000001 and 0000000002",
    ],
  );
});

test("RegisterAudit finds a broken chain, a lost record and a rewritten record", async () => {
  const audit = new RegisterAudit();
  const records = createRegister([a, b, c]);
  assert.deepEqual(await audit.compare(records.slice(0, 2), [ca.certificate]), []);
  assert.deepEqual(await audit.compare(records, [ca.certificate]), []);
  assert.equal(audit.records, 3);
  const lost = "record 0000000003 was shown, and is lost";
  assert.deepEqual(await audit.compare(records.slice(0, 2), [ca.certificate]), [lost]);
  const others = createRegister([a, b, { ...c, metadata: pending.metadata }]);
  assert.deepEqual(await audit.compare(others, [ca.certificate]), ["record 0000000003 was shown with another content"]);
  const [fault] = await new RegisterAudit().compare([records[0]!, records[2]!], [ca.certificate]);
  assert.match(fault ?? "", /^record 0000000002 is missing/);
});
