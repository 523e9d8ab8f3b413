import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { parseRequest } from "../csr/request.ts";
import { createCustomProfile, type CustomProfileOptions } from "./custom_profile.ts";
import { checkProfile } from "./profile.ts";

const OPEN: CustomProfileOptions = {
  signerName: "example.com/web",
  allowedUsages: ["digital signature", "server auth"],
  requiredUsages: ["server auth"],
  commonNames: ["web-*"],
  organizations: ["web"],
  dnsNames: ["*.web.example", "a-*-z.example", "*.*.deep.example"],
  ipAddresses: ["10.0.0.*"],
  uris: ["spiffe://example/*"],
};
const fine: CsrOptions = { commonName: "web-1", organizations: ["web"], usages: ["server auth"] };

const cases: readonly { name: string; edit: CsrOptions; want?: string }[] = [
  {
    name: "all within",
    edit: { dnsNames: ["a.web.example"], ipAddresses: ["10.0.0.7"], uris: ["spiffe://example/a/b"] },
  },
  { name: "no subject at all", edit: { commonName: "", organizations: [] } },
  { name: "star in the middle", edit: { dnsNames: ["a-b-z.example"] } },
  { name: "two stars", edit: { dnsNames: ["a.b.deep.example"] } },
  { name: "another common name", edit: { commonName: "db-1" }, want: "subject common name is not allowed: db-1" },
  { name: "nothing for the star", edit: { commonName: "web-" }, want: "subject common name is not allowed: web-" },
  {
    name: "system:masters",
    edit: { organizations: ["system:masters", "web"] },
    want: "subject organization is not allowed: system:masters",
  },
  {
    name: "two labels for one star",
    edit: { dnsNames: ["a.b.web.example"] },
    want: "DNS subjectAltName is not allowed: a.b.web.example",
  },
  {
    name: "a wildcard name for the star",
    edit: { dnsNames: ["*.x.deep.example"] },
    want: "DNS subjectAltName is not allowed: *.x.deep.example",
  },
  { name: "another domain", edit: { dnsNames: ["a.evil"] }, want: "DNS subjectAltName is not allowed: a.evil" },
  { name: "another IP", edit: { ipAddresses: ["10.0.1.7"] }, want: "IP subjectAltName is not allowed: 10.0.1.7" },
  { name: "email", edit: { emailAddresses: ["a@b.c"] }, want: "Email subjectAltName is not allowed: a@b.c" },
  {
    name: "usage too many",
    edit: { usages: ["server auth", "client auth"] },
    want: "usage is not allowed: client auth",
  },
  { name: "usage too few", edit: { usages: ["digital signature"] }, want: "usage is required: server auth" },
];

for (const { name, edit, want } of cases) {
  test(`createCustomProfile() ${want === undefined ? "allows" : "refuses"}: ${name}`, async () => {
    const csr = await buildCsr({ ...fine, ...edit });
    const facts = parseRequest(csr.spec.request);
    assert.ok(facts.ok);
    assert.equal(checkProfile(createCustomProfile(OPEN), facts.value, csr.spec.usages ?? []), want);
  });
}

test("createCustomProfile() lets nothing through that is not named", async () => {
  const closed = createCustomProfile({ signerName: "example.com/closed", allowedUsages: [] });
  for (const edit of [{ commonName: "a" }, { organizations: ["o"] }, { dnsNames: ["a"] }, { usages: ["any"] }]) {
    const csr = await buildCsr({ commonName: "", organizations: [], usages: [], ...edit });
    const facts = parseRequest(csr.spec.request);
    assert.ok(facts.ok);
    assert.notEqual(checkProfile(closed, facts.value, csr.spec.usages ?? []), undefined);
  }
});
