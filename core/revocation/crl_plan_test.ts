import assert from "node:assert/strict";
import { test } from "node:test";
import { hoursFromNow, NOW } from "../../tests/support/test_authority.ts";
import type { IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import {
  findRevoked,
  findUnrecorded,
  isCrlDue,
  isStillListed,
  planNextCrl,
  type RevokedCertificate,
  selectRevoked,
} from "./crl_plan.ts";
import { createRevocation } from "./revocation.ts";

const RANDOM = Uint8Array.of(1, 2);

function createRecord(
  spec: Partial<IssuedCertificate["spec"]>,
  status: IssuedCertificate["status"],
): IssuedCertificate {
  const known = {
    sequence: 1,
    serialNumber: "0a0b",
    issuerFingerprint: "f0",
    notBefore: "2026-11-25T00:00:00Z",
    notAfter: "2027-11-25T00:00:00Z",
    issuedAt: "2026-11-25T00:05:00Z",
  };
  return {
    apiVersion: "tlsboot/v1alpha1",
    kind: "IssuedCertificate",
    metadata: { name: "0000000001" },
    spec: { ...known, ...spec },
    status,
  };
}

const REVOCATION = { name: "serial:0a0b", reason: "keyCompromise", time: "2026-11-25T11:00:00Z" };
const LISTED: RevokedCertificate = {
  serialNumber: "0a0b",
  issuerFingerprint: "f0",
  reason: "keyCompromise",
  revokedAt: new Date("2026-11-25T11:00:00Z"),
  notAfter: new Date("2027-11-25T00:00:00Z"),
};

for (
  const { name, record, want } of [
    { name: "a revoked certificate", record: createRecord({}, { revocation: REVOCATION }), want: LISTED },
    { name: "one that is not revoked", record: createRecord({}, {}), want: undefined },
    {
      name: "one of an earlier build, without a serial number",
      record: {
        ...createRecord({}, { revocation: REVOCATION }),
        spec: { sequence: 1, notBefore: null, notAfter: null, issuedAt: null },
      },
      want: undefined,
    },
    {
      name: "an unknown reason, from another build",
      record: createRecord({}, { revocation: { ...REVOCATION, reason: "weakAlgorithm" } }),
      want: { ...LISTED, reason: "unspecified" },
    },
    {
      name: "a revocation of an unknown time",
      record: createRecord({}, { revocation: { ...REVOCATION, time: null } }),
      want: { ...LISTED, revokedAt: new Date("2026-11-25T00:05:00Z") },
    },
    {
      name: "a revocation and an issue of unknown times",
      record: createRecord({ issuedAt: null, notAfter: null }, { revocation: { ...REVOCATION, time: null } }),
      want: {
        ...LISTED,
        revokedAt: new Date("2026-11-25T00:00:00Z"),
        notAfter: new Date("9999-12-31T23:59:59Z"),
      },
    },
    {
      name: "a certificate without any known time",
      record: createRecord({ issuedAt: null, notBefore: null }, { revocation: { ...REVOCATION, time: null } }),
      want: undefined,
    },
  ]
) {
  test(`findRevoked() reads ${name}`, () => assert.deepEqual(findRevoked(record), want));
}

test("findUnrecorded() reads the Revocation of a serial number that the register does not know, and no other", () => {
  const revocation = createRevocation({ kind: "serial", value: "0c" }, { reason: "superseded", isUnrecorded: true });
  const stored = { ...revocation, status: { time: "2026-11-25T11:00:00Z" } };
  assert.deepEqual(findUnrecorded(stored), {
    serialNumber: "0c",
    issuerFingerprint: undefined,
    reason: "superseded",
    revokedAt: new Date("2026-11-25T11:00:00Z"),
    notAfter: new Date("9999-12-31T23:59:59Z"),
  });
  const metadata = { ...revocation.metadata, creationTimestamp: "2026-11-25T12:00:00Z" };
  const created = findUnrecorded({ ...revocation, metadata, status: { time: null } });
  assert.deepEqual(created?.revokedAt, new Date("2026-11-25T12:00:00Z"));
  const others = [
    createRevocation({ kind: "serial", value: "0c" }, { reason: "superseded" }),
    createRevocation({ kind: "token", value: "abcdef" }, { reason: "superseded", isUnrecorded: true }),
  ];
  for (const other of others) assert.equal(findUnrecorded({ ...other, status: stored.status }), undefined);
});

test("selectRevoked() selects the certificates of a CA and those without a record, each serial number once", () => {
  const unrecorded = (serialNumber: string) => ({ ...LISTED, serialNumber, issuerFingerprint: undefined });
  const all = [
    LISTED,
    { ...LISTED, serialNumber: "0d", issuerFingerprint: "f1" },
    unrecorded("0c"),
    unrecorded("0a0b"),
  ];
  const select = (ca: string) => selectRevoked(all, ca).map(({ serialNumber }) => serialNumber);
  assert.deepEqual([select("f0"), select("f1"), select("f2")], [["0a0b", "0c"], ["0d", "0c"], ["0c"]]);
});

test("planNextCrl() plans a CRL that is backdated like a certificate and valid for a week, with a higher number", () => {
  const first = planNextCrl({ revoked: [LISTED], previous: undefined, now: NOW, random: RANDOM });
  assert.deepEqual(first, {
    entries: [LISTED],
    number: (BigInt(NOW.getTime()) << 16n) + 0x0102n,
    thisUpdate: new Date(NOW.getTime() - 300_000),
    nextUpdate: hoursFromNow(7 * 24),
  });
  const previous = { number: first.number + 10n, thisUpdate: first.thisUpdate };
  assert.equal(planNextCrl({ revoked: [], previous, now: NOW, random: RANDOM }).number, first.number + 11n);
});

test("planNextCrl() drops an expired certificate after it was listed once more", () => {
  const expiring = { ...LISTED, notAfter: hoursFromNow(1) };
  const lists: number[] = [];
  let previous;
  for (const hours of [0, 0.5, 1.5, 2, 3]) {
    const plan = planNextCrl({ revoked: [expiring], previous, now: hoursFromNow(hours), random: RANDOM });
    lists.push(plan.entries.length);
    previous = plan;
  }
  assert.deepEqual(lists, [1, 1, 1, 0, 0]);
});

for (
  const { name, hours, want } of [
    { name: "a new one", hours: 0.1, want: false },
    { name: "one of 23 hours", hours: 23, want: false },
    { name: "one of a day", hours: 24, want: true },
    { name: "one of almost a day", hours: 24 - 1 / 3600, want: false },
    { name: "one that is made now, backdated", hours: -300 / 3600, want: false },
    { name: "one after the clock was set back", hours: -24, want: true },
  ]
) {
  test(`isCrlDue() is ${want} for ${name}`, () => {
    const { thisUpdate } = planNextCrl({ revoked: [], previous: undefined, now: NOW, random: RANDOM });
    assert.equal(isCrlDue({ thisUpdate }, hoursFromNow(hours)), want);
  });
}

for (
  const { name, notAfter, revokedAt, previous, want } of [
    { name: "no list before", notAfter: -2, revokedAt: -9, previous: undefined, want: true },
    { name: "valid", notAfter: 5, revokedAt: -9, previous: -1, want: true },
    { name: "expired since the last list", notAfter: -0.5, revokedAt: -9, previous: -1, want: true },
    { name: "listed once after its end", notAfter: -2, revokedAt: -9, previous: -1, want: false },
    { name: "ended with the last list", notAfter: -1, revokedAt: -9, previous: -1, want: true },
    { name: "revoked with the last list, after its end", notAfter: -2, revokedAt: -1, previous: -1, want: false },
    { name: "revoked after its end, and not listed yet", notAfter: -2, revokedAt: -0.5, previous: -1, want: true },
  ]
) {
  test(`isStillListed() is ${want}: ${name}`, () => {
    const certificate = { notAfter: hoursFromNow(notAfter), revokedAt: hoursFromNow(revokedAt) };
    const before = previous === undefined ? undefined : { thisUpdate: hoursFromNow(previous) };
    assert.equal(isStillListed(certificate, before), want);
  });
}
