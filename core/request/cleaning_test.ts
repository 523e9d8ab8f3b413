// Carries `pkg/controller/certificates/cleaner/cleaner_test.go`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { condition } from "../../tests/support/csr_builder.ts";
import { buildPodRequest } from "../../tests/support/pod_request_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import type { CertificateSigningRequestCondition } from "../kube/kinds/certificates_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { decideCleaning, decidePodRequestCleaning } from "./cleaning.ts";
import { type CleaningTimes, DEFAULT_CLEANING_TIMES } from "./phase.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const ago = (minutes: number): string => formatTime(new Date(NOW.getTime() - minutes * 60_000));
const HOURS = 60;
const ca = createSigningCa();

const cases: readonly {
  name: string;
  conditions?: readonly CertificateSigningRequestCondition[];
  created?: string;
  certificate?: "valid" | "expired" | "garbage";
  times?: Partial<CleaningTimes>;
  why?: string;
}[] = [
  {
    name: "approved 50 min ago, valid certificate",
    conditions: [condition("Approved", ago(50))],
    certificate: "valid",
  },
  { name: "approved 50 min ago, no certificate", conditions: [condition("Approved", ago(50))] },
  { name: "approved 5 h ago, no certificate", conditions: [condition("Approved", ago(5 * HOURS))] },
  {
    name: "approved 25 h ago, no certificate",
    conditions: [condition("Approved", ago(25 * HOURS))],
    why: "approved but not issued for more than 24h",
  },
  {
    name: "approved 2 h ago, valid certificate",
    conditions: [condition("Approved", ago(2 * HOURS))],
    certificate: "valid",
    why: "issued more than 1h ago",
  },
  { name: "denied 50 min ago", conditions: [condition("Denied", ago(50))] },
  { name: "denied 2 h ago", conditions: [condition("Denied", ago(2 * HOURS))], why: "denied more than 1h ago" },
  {
    name: "approved 2 h ago, failed 50 min ago",
    conditions: [condition("Approved", ago(2 * HOURS)), condition("Failed", ago(50))],
  },
  {
    name: "approved 2 h ago, failed 2 h ago",
    conditions: [condition("Approved", ago(2 * HOURS)), condition("Failed", ago(2 * HOURS))],
    why: "failed more than 1h ago",
  },
  { name: "pending for 5 h", created: ago(5 * HOURS) },
  { name: "pending for 25 h", created: ago(25 * HOURS), why: "pending for more than 24h" },
  { name: "pending without a creation time" },
  {
    name: "approved 50 min ago, expired certificate",
    conditions: [condition("Approved", ago(50))],
    certificate: "expired",
    why: "its certificate is expired",
  },
  {
    name: "approved 2 h ago, garbage for a certificate",
    conditions: [condition("Approved", ago(2 * HOURS))],
    certificate: "garbage",
    why: "issued more than 1h ago",
  },
  { name: "approved 50 min ago, garbage", conditions: [condition("Approved", ago(50))], certificate: "garbage" },
  { name: "a custom condition only", conditions: [condition("Custom", ago(9000))], created: ago(9000) },
  { name: "denied, without a time", conditions: [condition("Denied")], created: ago(9000) },
  { name: "exactly one hour", conditions: [condition("Denied", ago(HOURS))] },
  { name: "expired certificate without an approval", created: ago(1), certificate: "expired" },
  { name: "pending for 25 h of two days", created: ago(25 * HOURS), times: { pendingMs: 48 * 3_600_000 } },
  {
    name: "pending for 2 h of 90 min",
    created: ago(2 * HOURS),
    times: { pendingMs: 90 * 60_000 },
    why: "pending for more than 1h30m",
  },
  {
    name: "approved 2 min ago, not issued within 1 min",
    conditions: [condition("Approved", ago(2))],
    times: { unissuedMs: 60_000 },
    why: "approved but not issued for more than 1m",
  },
  {
    name: "issued 2 min ago, kept for 90 s",
    conditions: [condition("Approved", ago(2))],
    certificate: "valid",
    times: { issuedMs: 90_000 },
    why: "issued more than 1m30s ago",
  },
  {
    name: "issued 2 h ago, kept for 3 h",
    conditions: [condition("Approved", ago(2 * HOURS))],
    certificate: "valid",
    times: { issuedMs: 3 * 3_600_000 },
  },
  {
    name: "denied 2 min ago, kept for 30 s",
    conditions: [condition("Denied", ago(2))],
    times: { deniedMs: 30_000 },
    why: "denied more than 30s ago",
  },
  {
    name: "failed 90 min ago, kept for 2 h",
    conditions: [condition("Approved", ago(90)), condition("Failed", ago(90))],
    times: { failedMs: 2 * 3_600_000 },
  },
];

for (const { name, conditions, created, certificate, times, why } of cases) {
  test(`decideCleaning() ${why === undefined ? "keeps" : "deletes"}: ${name}`, async () => {
    const end = { valid: "2027-01-01", expired: "2026-02-01", garbage: "", none: "" }[certificate ?? "none"];
    const pem = end === "" ? "garbage" : await issueClientCertificate(await ca, new Date("2026-01-01"), new Date(end));
    const csr = {
      metadata: { name: "c", ...(created === undefined ? {} : { creationTimestamp: created }) },
      spec: { request: null, signerName: "" },
      status: {
        ...(conditions === undefined ? {} : { conditions }),
        ...(certificate === undefined ? {} : { certificate: encodeBase64(pem) }),
      },
    };
    assert.deepEqual(
      decideCleaning(csr, NOW, { ...DEFAULT_CLEANING_TIMES, ...times }),
      why === undefined ? { kind: "keep" } : { kind: "delete", why },
    );
  });
}

for (
  const { creationTimestamp, want } of [
    { creationTimestamp: "2026-01-01T11:45:00Z", want: { kind: "delete", why: "created at least 15m ago" } },
    { creationTimestamp: "2026-01-01T11:45:01Z", want: { kind: "keep" } },
    { creationTimestamp: undefined, want: { kind: "keep" } },
  ]
) {
  test(`decidePodRequestCleaning() decides to ${want.kind} a request of ${creationTimestamp}`, async () => {
    const request = await buildPodRequest();
    const metadata = creationTimestamp === undefined ? {} : { creationTimestamp };
    assert.deepEqual(decidePodRequestCleaning({ ...request, metadata }, new Date("2026-01-01T12:00:00Z")), want);
  });
}
