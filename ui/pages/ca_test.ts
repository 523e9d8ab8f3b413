import assert from "node:assert/strict";
import { test } from "node:test";
import "../../scripts/jsx_on_node.ts";
import { createRecords } from "../../tests/support/issued_records.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { toRow } from "../../core/report/record_rows.ts";

const { listAuthorities } = await import("./ca.tsx");

const NOW = new Date("2026-06-01T00:00:00Z");

test("listAuthorities() lists each CA once, with its purposes and its number of valid certificates", async () => {
  const [one, other] = [await createIssuingCa(NOW, "one"), await createIssuingCa(new Date(0), "other")];
  const { authority: { certificate } } = one;
  const issuerFingerprint = certificate.sha256Fingerprint;
  const rows = createRecords([
    { issuerFingerprint },
    { issuerFingerprint, notAfter: "2026-01-01T00:00:00Z" },
    { issuerFingerprint: "00" },
  ]).map((record) => toRow(record, new Map(), NOW));
  const { authorities, faults } = listAuthorities([
    { purpose: "servers", pem: one.caPem },
    { purpose: "clients", pem: `${one.caPem}${other.caPem}` },
    { purpose: "servers", pem: one.caPem },
    { purpose: "pods", pem: "nothing" },
  ], rows);
  assert.deepEqual(
    authorities.map(({ certificate, purposes, issued }) => [certificate.subject.commonName, purposes, issued]),
    [
      ["other", ["clients"], 0],
      ["one", ["servers", "clients"], 1],
    ],
  );
  assert.deepEqual(faults, [
    "the CAs for pods cannot be read: must contain at least one CERTIFICATE PEM block",
  ]);
});
