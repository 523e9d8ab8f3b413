import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedKey } from "../../tests/support/csr_builder.ts";
import { assertLinear } from "../../tests/support/growth.ts";
import { createIssuingCa, type TestCertificate } from "../../tests/support/issuing_ca.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { findPemBlock } from "../pki/asn1/pem.ts";
import {
  decideRenewal,
  type RenewalOptions,
  type RenewalVerdict,
  type RequestedCredentials,
} from "./decide_renewal.ts";
import { findIssuedFault, type RequestedCertificate } from "./issued_certificate.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const HOUR_MS = 3_600_000;
const subject = { commonName: "web", organizations: ["a", "b"], organizationalUnits: ["x"] };
const asked: RequestedCertificate = {
  subject,
  dnsNames: ["web.example.com"],
  ipAddresses: ["10.0.0.1", "::1"],
  usages: ["digital signature", "server auth"],
};

async function issued(edit: Partial<TestCertificate> = {}): Promise<CertificateFacts> {
  const { dnsNames = [], ipAddresses = [], usages = [] } = asked;
  const ca = await createIssuingCa(NOW);
  const publicKeyDer = (await sharedKey()).publicKeyDer();
  const pem = await ca.issue({ publicKeyDer, subject, dnsNames, ipAddresses, usages, ...edit });
  const leaf = parseCertificate(findPemBlock(pem)?.block.bytes ?? assert.fail());
  assert.ok(leaf.ok);
  return leaf.value;
}

const cases: readonly {
  name: string;
  edit?: Partial<TestCertificate>;
  asked?: Partial<RequestedCertificate>;
  want?: RegExp;
}[] = [
  { name: "the requested contents" },
  { name: "more names", edit: { dnsNames: ["other", "WEB.example.com"] } },
  { name: "more organizations", edit: { subject: { ...subject, organizations: ["c", "b", "a"] } } },
  { name: "more usages", edit: { usages: ["digital signature", "key encipherment", "client auth", "server auth"] } },
  { name: "an address in another spelling", asked: { ipAddresses: ["0:0:0::1"] } },
  { name: "no extension for purposes", edit: { usages: ["digital signature"] } },
  { name: "any purpose", edit: { usages: ["digital signature", "any"] } },
  { name: "another common name", edit: { subject: { ...subject, commonName: "www" } }, want: /it is for "CN=www/ },
  {
    name: "an organization less",
    edit: { subject: { ...subject, organizations: ["a"] } },
    want: /but the request was for "CN=web/,
  },
  { name: "a unit less", edit: { subject: { ...subject, organizationalUnits: [] } }, want: /it is for/ },
  { name: "a serial number less", asked: { subject: { ...subject, serialNumber: "7" } }, want: /it is for/ },
  { name: "no DNS name", edit: { dnsNames: [] }, want: /^it lacks web\.example\.com$/ },
  { name: "an address less", edit: { ipAddresses: ["10.0.0.1"] }, want: /^it lacks ::1$/ },
  { name: "no URI", asked: { uris: ["spiffe://a/b"] }, want: /^it lacks spiffe:\/\/a\/b$/ },
  { name: "no address", asked: { emailAddresses: ["a@b"] }, want: /^it lacks a@b$/ },
  {
    name: "another purpose",
    edit: { usages: ["digital signature", "client auth"] },
    want: /^it lacks the usage "server auth"$/,
  },
  {
    name: "a bit less",
    edit: { usages: ["key encipherment", "server auth"] },
    want: /^it lacks the usage "digital signature"$/,
  },
];
for (const { name, edit, asked: more, want } of cases) {
  test(`findIssuedFault() ${want === undefined ? "accepts" : "refuses"} a certificate with ${name}`, async () => {
    const fault = findIssuedFault(await issued(edit), { ...asked, ...more });
    if (want === undefined) assert.equal(fault, undefined);
    else assert.match(fault ?? "", want);
  });
}

const later = { isForced: false, renewBeforeMs: HOUR_MS };
const renewals: readonly {
  name: string;
  existing?: "none" | "unusable";
  edit?: Partial<TestCertificate>;
  asked?: Partial<RequestedCredentials>;
  options: RenewalOptions;
  want: RenewalVerdict["kind"];
  reason?: RegExp;
}[] = [
  { name: "nothing there", existing: "none", options: { isForced: false }, want: "ask", reason: /none yet/ },
  { name: "something there", options: { isForced: false }, want: "exists" },
  { name: "something broken there", existing: "unusable", options: { isForced: false }, want: "exists" },
  { name: "force", options: { isForced: true }, want: "ask" },
  { name: "something broken, in time", existing: "unusable", options: later, want: "ask", reason: /broken/ },
  { name: "a good one", options: later, want: "keep" },
  {
    name: "a certificate that ends in exactly that time",
    edit: { notAfter: new Date(NOW.getTime() + HOUR_MS) },
    options: later,
    want: "ask",
    reason: /it expires at 2026-01-01T01:00:00Z/,
  },
  {
    name: "an expired certificate",
    edit: { notAfter: new Date(NOW.getTime() - 1000) },
    options: later,
    want: "ask",
    reason: /it expired at/,
  },
  { name: "another name requested", asked: { dnsNames: ["www"] }, options: later, want: "ask", reason: /it lacks www/ },
  { name: "the same kind of key requested", asked: { key: "ecdsa-p256" }, options: later, want: "keep" },
  {
    name: "another kind of key requested",
    asked: { key: "rsa-2048" },
    options: later,
    want: "ask",
    reason: /its key is ecdsa-p256, but the request was for rsa-2048/,
  },
  {
    name: "another key requested",
    asked: { key: Uint8Array.of(1) },
    options: later,
    want: "ask",
    reason: /another key/,
  },
];
for (const { name, existing, edit, asked: more, options, want, reason } of renewals) {
  test(`decideRenewal() returns ${want} for ${name}`, async () => {
    const found = existing === "none"
      ? { kind: "none" as const }
      : existing === "unusable"
      ? { kind: "unusable" as const, reason: "broken" }
      : { kind: "usable" as const, leaf: await issued(edit) };
    const verdict = decideRenewal(found, { ...asked, ...more }, options, NOW);
    assert.equal(verdict.kind, want);
    if (reason !== undefined) assert.match(verdict.kind === "ask" ? verdict.reason : "", reason);
  });
}

test("findIssuedFault() takes linear time", async () => {
  const leaf = await issued();
  await assertLinear({
    input: (size) => Array.from({ length: size }, (_, index) => `n${index}.example.com`),
    read: (dnsNames) => findIssuedFault({ ...leaf, dnsNames }, { subject, dnsNames }),
    limit: 10_000,
  });
});
