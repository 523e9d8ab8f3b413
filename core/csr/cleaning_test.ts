// Carries `pkg/controller/certificates/cleaner/cleaner_test.go`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { condition, toBase64 } from "../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import type { CertificateSigningRequestCondition } from "../kube/certificates_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { decideCleaning } from "./cleaning.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const ago = (minutes: number): string => formatTime(new Date(NOW.getTime() - minutes * 60_000));
const HOURS = 60;
const ca = createSigningCa();

const cases: readonly {
  name: string;
  conditions?: readonly CertificateSigningRequestCondition[];
  created?: string;
  certificate?: "valid" | "expired" | "garbage";
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
];

for (const { name, conditions, created, certificate, why } of cases) {
  test(`decideCleaning() ${why === undefined ? "keeps" : "deletes"}: ${name}`, async () => {
    const end = { valid: "2027-01-01", expired: "2026-02-01", garbage: "", none: "" }[certificate ?? "none"];
    const pem = end === "" ? "garbage" : await issueClientCertificate(await ca, new Date("2026-01-01"), new Date(end));
    const csr = {
      metadata: { name: "c", ...(created === undefined ? {} : { creationTimestamp: created }) },
      spec: { request: null, signerName: "" },
      status: {
        ...(conditions === undefined ? {} : { conditions }),
        ...(certificate === undefined ? {} : { certificate: toBase64(pem) }),
      },
    };
    assert.deepEqual(decideCleaning(csr, NOW), why === undefined ? { kind: "keep" } : { kind: "delete", why });
  });
}
