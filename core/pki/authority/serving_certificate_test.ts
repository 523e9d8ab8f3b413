import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createIntermediate,
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  NOW,
  planTestLeaf,
} from "../../../tests/support/test_authority.ts";
import { findRenewalReason, getRenewalDate, planPermittedNames, planServingNames } from "./serving_certificate.ts";
import { NO_SUBTREES } from "../x509/name_constraints.ts";

const ca = await createTestAuthority();
const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };

function serving(authority = ca) {
  const plan = planTestLeaf(ca.privateKey, { ...names, notBefore: NOW, notAfter: hoursFromNow(10) });
  return issueTestCertificate(authority, plan);
}

for (
  const { name, hours, wanted, want } of [
    { name: "a fresh one", hours: 1, wanted: names, want: undefined },
    { name: "one that becomes valid now", hours: 0, wanted: names, want: undefined },
    { name: "one just before 70 % of its lifetime", hours: 6.99, wanted: names, want: undefined },
    { name: "one at 70 % of its lifetime", hours: 7, wanted: names, want: "it has reached 70 % of its lifetime" },
    { name: "a certificate that is not valid yet", hours: -1, wanted: names, want: "it is not valid yet" },
    {
      name: "a certificate that lacks a name",
      hours: 1,
      wanted: { ...names, dnsNames: ["localhost", "boot.example.com"] },
      want: "its names have changed",
    },
    {
      name: "one with an extra address",
      hours: 1,
      wanted: { ...names, ipAddresses: [] },
      want: "its names have changed",
    },
    { name: "a client certificate, whose names do not matter", hours: 1, wanted: undefined, want: undefined },
  ]
) {
  test(`findRenewalReason() returns ${want ?? "nothing"} for ${name}`, async () => {
    assert.equal(findRenewalReason(await serving(), ca.certificate, wanted, hoursFromNow(hours)), want);
  });
}

test("findRenewalReason() replaces a certificate of another CA", async () => {
  const other = await createTestAuthority();
  assert.equal(findRenewalReason(await serving(other), ca.certificate, names, NOW), "it is from another CA");
});

test("getRenewalDate() is at 70 % of the lifetime", async () => {
  assert.deepEqual(getRenewalDate(await serving()), hoursFromNow(7));
});

test("planServingNames() separates names and addresses, and omits duplicates and unspecified addresses", () => {
  const hosts = ["localhost", "127.0.0.1", "::1", "HOST", "0.0.0.0", "", "host", " boot.example.com "];
  const isAddress = (host: string) => /^[0-9.]+$|:/.test(host);
  assert.deepEqual(planServingNames(hosts, isAddress), {
    dnsNames: ["localhost", "host", "boot.example.com"],
    ipAddresses: ["127.0.0.1", "::1"],
  });
});

const wanted = { dnsNames: ["localhost", "api.example.org"], ipAddresses: ["127.0.0.1", "::1"] };

test("planPermittedNames() keeps every name without constraints", async () => {
  const { certificate } = await createTestAuthority();
  assert.deepEqual(planPermittedNames(wanted, [certificate]), { names: wanted, refused: new Map() });
});

test("planPermittedNames() keeps the names that the CA and its issuers permit, and gives a reason for the others", async () => {
  const root = await createTestAuthority();
  const permit = (edit: Partial<typeof NO_SUBTREES>) => ({
    nameConstraints: { permitted: { ...NO_SUBTREES, ...edit }, excluded: NO_SUBTREES },
  });
  const upper = await createIntermediate(root, "upper", permit({ dnsNames: ["example.org"] }));
  const lower = await createIntermediate(upper, "lower", permit({ ipRanges: ["127.0.0.0/8"] }));
  const { names, refused } = planPermittedNames(wanted, [lower.certificate, upper.certificate]);
  assert.deepEqual(names, { dnsNames: ["api.example.org"], ipAddresses: ["127.0.0.1"] });
  assert.deepEqual([...refused], [
    ["localhost", 'DNS name "localhost" is not permitted by any constraint'],
    ["::1", 'IP address "::1" is not permitted by any constraint'],
  ]);
});
