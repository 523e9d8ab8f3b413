import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, sharedKey } from "../../tests/support/csr_builder.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createRecords, type RecordEdit } from "../../tests/support/issued_records.ts";
import { DAY_MS } from "../lib/duration.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import {
  addReplacement,
  compareRows,
  createSelector,
  findNodeOfRecord,
  recordRequest,
  type RecordSelection,
  ReplacementFinder,
  type Replacements,
  toRow,
} from "./record_rows.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const NOTHING: RecordSelection = {
  expiresWithin: undefined,
  expired: false,
  revoked: false,
  signer: undefined,
  subject: undefined,
  name: undefined,
  requester: undefined,
  token: undefined,
  approvedBy: undefined,
  since: undefined,
};
const REVOKED = { revocation: { name: "node:n4", reason: "keyCompromise", time: "2026-05-01T00:00:00Z" } };

function toRows(edits: readonly RecordEdit[]): ReturnType<typeof toRow>[] {
  const records = createRecords(edits);
  const replacements: Replacements = new Map();
  for (const record of records) addReplacement(replacements, record);
  return records.map((record) => toRow(record, replacements, NOW));
}

const rows = toRows([
  {},
  { notAfter: "2026-05-31T23:59:59Z" },
  { replaces: "0000000001", notAfter: "2026-06-20T00:00:00Z" },
  { status: REVOKED, notAfter: "2026-06-20T00:00:00Z" },
  { status: REVOKED, notAfter: "2026-05-01T00:00:00Z", replaces: "0000000002" },
  { notAfter: null, notBefore: null },
  {
    subject: "O=dev,O=ops,OU=b,CN=alice",
    signerName: "example.com/vpn",
    dnsNames: ["www.example.com"],
    ipAddresses: ["10.0.0.7"],
    emailAddresses: ["a@example.com"],
    uris: ["spiffe://example.com/a"],
    requester: { username: "system:bootstrap:abcdef", tokenID: "abcdef" },
    approval: { username: "bob", reason: "Inventory", time: null },
    issuedAt: "2026-05-30T12:00:00Z",
  },
]);

test("toRow() finds the status: revoked before expired before replaced", () => {
  assert.deepEqual(rows.map(({ status, replacedBy }) => [status, replacedBy]), [
    ["replaced", "0000000003"],
    ["expired", "0000000005"],
    ["valid", undefined],
    ["revoked", undefined],
    ["revoked", undefined],
    ["unknown", undefined],
    ["valid", undefined],
  ]);
});

test("toRow() finds that the CA of a certificate was replaced, and that a CA itself was", () => {
  const [old, other, third] = ["a", "b", "c"].map((digit) => digit.repeat(64));
  const records = createRecords([
    { issuerFingerprint: old!, notAfter: "2026-06-20T00:00:00Z" },
    { fingerprint: old!, isCA: true, source: "ca" },
    { issuerFingerprint: other! },
    { issuerFingerprint: old!, status: REVOKED },
    { issuerFingerprint: old!, notAfter: "2026-05-31T23:59:59Z" },
    { issuerFingerprint: old! },
    {},
  ]);
  const replacements: Replacements = new Map([["0000000006", "0000000007"]]);
  const shown = records.map((record) => toRow(record, replacements, NOW, new Set([old!, third!])));
  assert.deepEqual(shown.map(({ status }) => status), [
    ...["untrusted", "untrusted", "valid", "revoked", "expired", "untrusted", "valid"],
  ]);
  const ending = shown.filter(createSelector({ ...NOTHING, expiresWithin: 20 * DAY_MS }, NOW));
  assert.deepEqual(ending, [], "an untrusted certificate is not listed as expiring");
});

for (
  const { name, edit, want } of [
    { name: "everything without a flag", edit: {}, want: [1, 2, 3, 4, 5, 6, 7] },
    { name: "--expired, revoked or not", edit: { expired: true }, want: [2, 5] },
    { name: "--revoked", edit: { revoked: true }, want: [4, 5] },
    { name: "--revoked --expired", edit: { revoked: true, expired: true }, want: [5] },
    { name: "--expires-within, neither revoked nor expired", edit: { expiresWithin: 20 * DAY_MS }, want: [3] },
    { name: "--expires-within, not replaced", edit: { expiresWithin: 400 * DAY_MS }, want: [3, 7] },
    { name: "--signer", edit: { signer: "example.com/vpn" }, want: [7] },
    { name: "--signer with a star", edit: { signer: "kubernetes.io/*" }, want: [1, 2, 3, 4, 5, 6] },
    { name: "--subject of the common name", edit: { subject: "alice" }, want: [7] },
    { name: "--subject of an organization", edit: { subject: "O=ops" }, want: [7] },
    { name: "--subject of an organizational unit", edit: { subject: "OU=b" }, want: [7] },
    { name: "--subject, whole", edit: { subject: "O=system:nodes,CN=system:node:n3" }, want: [3] },
    { name: "--subject, no part of a value", edit: { subject: "system:node" }, want: [] },
    { name: "--subject of another attribute", edit: { subject: "O=alice" }, want: [] },
    { name: "--name, DNS", edit: { name: "*.example.com" }, want: [7] },
    { name: "--name, IP", edit: { name: "10.0.0.7" }, want: [7] },
    { name: "--name, email", edit: { name: "a@example.com" }, want: [7] },
    { name: "--name, URI", edit: { name: "spiffe://*" }, want: [7] },
    { name: "--requester", edit: { requester: "system:bootstrap:*" }, want: [7] },
    { name: "--token", edit: { token: "abcdef" }, want: [7] },
    { name: "--approved-by, user", edit: { approvedBy: "bob" }, want: [7] },
    { name: "--approved-by, reason", edit: { approvedBy: "Inventory" }, want: [7] },
    { name: "--since a duration", edit: { since: { kind: "ago", ms: 2 * DAY_MS } }, want: [7] },
    { name: "--since a date", edit: { since: { kind: "at", date: new Date("2026-05-31") } }, want: [] },
    { name: "several flags, of which all must match", edit: { revoked: true, subject: "alice" }, want: [] },
  ] satisfies readonly { name: string; edit: Partial<RecordSelection>; want: readonly number[] }[]
) {
  test(`createSelector() selects ${name}`, () => {
    const found = rows.filter(createSelector({ ...NOTHING, ...edit }, NOW));
    assert.deepEqual(found.map(({ record }) => record.spec.sequence), want);
  });
}

test("compareRows() sorts by a key, and equal rows by issuance", () => {
  const sorted = (key: Parameters<typeof compareRows>[0]) =>
    rows.toReversed().sort(compareRows(key)).map(({ record }) => record.spec.sequence);
  assert.deepEqual(sorted("expires"), [6, 5, 2, 3, 4, 1, 7]);
  assert.deepEqual(sorted("signer"), [7, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(sorted("status"), [2, 1, 4, 5, 6, 3, 7]);
  assert.deepEqual(sorted("approved-by"), [1, 2, 3, 4, 5, 6, 7]);
});

test("recordRequest() makes a record of an issued request, but of no other", async () => {
  const ca = await createIssuingCa(NOW);
  const key = await sharedKey();
  const subject = { commonName: "system:node:n1", organizations: ["system:nodes"] };
  const certificate = encodeBase64(await ca.issue({ subject, publicKeyDer: key.publicKeyDer() }));
  const at = "2026-02-01T00:00:00Z";
  const record = recordRequest(
    await buildCsr({ name: "first", conditions: [condition("Approved", at, "Manual")], certificate }),
  );
  assert.ok(record !== undefined);
  const { spec } = record;
  assert.deepEqual([spec.issuedAt, spec.request?.name, spec.requester?.tokenID, spec.approval?.reason], [
    at,
    "first",
    "abcdef",
    "Manual",
  ]);
  assert.equal(findNodeOfRecord(record), "n1");
  assert.equal(recordRequest(await buildCsr()), undefined);
});

test("ReplacementFinder finds the newest certificate of each signer and subject", () => {
  const finder = new ReplacementFinder();
  for (const record of createRecords([{ subject: "CN=a" }, { subject: "CN=b" }, { subject: "CN=a" }])) {
    finder.add(record);
  }
  assert.deepEqual([...finder.found], [["0000000001", "0000000003"]]);
});

test("ReplacementFinder compares the names of certificates without a subject, as those of pods are", () => {
  const finder = new ReplacementFinder();
  const pod = (name: string) => ({ dnsNames: [`${name}.web.svc`, name], uris: [`spiffe://example.com/${name}`] });
  const renewed = { ...pod("a"), dnsNames: ["a", "a.web.svc"] };
  for (const record of createRecords([pod("a"), pod("b"), renewed, pod("c"), {}, {}])) {
    const { subject: _, ...spec } = record.spec;
    finder.add({ ...record, spec });
  }
  assert.deepEqual([...finder.found], [["0000000001", "0000000003"]]);
});
