import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { parseRequest } from "../request/parse_request.ts";
import { encodeOid, encodeSequence, encodeSetOf, encodeText } from "../pki/asn1/der_writer.ts";
import { parseName } from "../pki/x509/names.ts";
import { getMlDsaRequest } from "../../tests/support/ml_dsa_vectors.ts";
import { FULL, MINIMAL, parseProfileOrThrow } from "../../tests/support/test_profiles.ts";
import { createCustomProfile } from "./custom_profile.ts";
import { checkProfile, type SigningProfile } from "./profile.ts";

const full = createCustomProfile("example.com/web", parseProfileOrThrow(FULL));
const fine: CsrOptions = {
  commonName: "web-1",
  organizations: ["team", "web"],
  dnsNames: ["a.web.example.com"],
  usages: ["server auth"],
};

async function check(profile: SigningProfile, edit: CsrOptions): Promise<string | undefined> {
  const csr = await buildCsr(edit);
  const facts = parseRequest(csr.spec.request);
  assert.ok(facts.ok);
  return checkProfile(profile, facts.value, csr.spec.usages ?? [])?.message;
}

const DNS = "DNS subjectAltName is not allowed";
const cases: readonly { readonly name: string; readonly edit: CsrOptions; readonly want?: string }[] = [
  {
    name: "every kind of name",
    edit: {
      ipAddresses: ["10.0.0.7", "2001:db8::7"],
      uris: ["spiffe://example.com/web/a/b"],
      emailAddresses: ["a@example.com"],
    },
  },
  { name: "no common name", edit: { commonName: "" } },
  { name: "only an address", edit: { dnsNames: [], ipAddresses: ["10.0.0.7"] } },
  { name: "only a URI", edit: { dnsNames: [], uris: ["spiffe://example.com/web/a"] } },
  { name: "only an e-mail address", edit: { dnsNames: [], emailAddresses: ["a@example.com"] } },
  { name: "many labels", edit: { dnsNames: ["a.b.c.svc.example.com"] } },
  { name: "a wildcard", edit: { dnsNames: ["*.web.example.com", "*.a.svc.example.com"] } },
  { name: "another common name", edit: { commonName: "db-1" }, want: "subject common name is not allowed: db-1" },
  {
    name: "an empty match of the star",
    edit: { commonName: "web-" },
    want: "subject common name is not allowed: web-",
  },
  {
    name: "a dot in the match of the star",
    edit: { commonName: "web-a.b" },
    want: "subject common name is not allowed: web-a.b",
  },
  {
    name: "a line break in the match of the star",
    edit: { commonName: "web-a\nb" },
    want: "subject common name is not allowed: web-a\nb",
  },
  {
    name: "system:masters",
    edit: { organizations: ["web", "system:masters", "team"] },
    want: "subject organization is not allowed: system:masters",
  },
  { name: "a missing organization", edit: { organizations: ["web"] }, want: "subject organization is required: team" },
  {
    name: "an organization twice",
    edit: { organizations: ["web", "team", "web"] },
    want: "subject organization is not allowed: web",
  },
  { name: "two labels for one star", edit: { dnsNames: ["a.b.web.example.com"] }, want: `${DNS}: a.b.web.example.com` },
  { name: "no label for two stars", edit: { dnsNames: ["svc.example.com"] }, want: `${DNS}: svc.example.com` },
  { name: "half a label", edit: { dnsNames: ["asvc.example.com"] }, want: `${DNS}: asvc.example.com` },
  { name: "another case", edit: { dnsNames: ["A.web.example.com"] }, want: `${DNS}: A.web.example.com` },
  { name: "a dot at the end", edit: { dnsNames: ["a.web.example.com."] }, want: `${DNS}: a.web.example.com.` },
  { name: "an empty label", edit: { dnsNames: ["a..svc.example.com"] }, want: `${DNS}: a..svc.example.com` },
  { name: "a star within a label", edit: { dnsNames: ["a*.web.example.com"] }, want: `${DNS}: a*.web.example.com` },
  { name: "a wildcard above the pattern", edit: { dnsNames: ["*.example.com"] }, want: `${DNS}: *.example.com` },
  { name: "two wildcards", edit: { dnsNames: ["*.*.svc.example.com"] }, want: `${DNS}: *.*.svc.example.com` },
  {
    name: "too many names",
    edit: { dnsNames: ["a", "b", "c", "d"].map((label) => `${label}.web.example.com`) },
    want: "DNS subjectAltName: at most 3 are allowed",
  },
  { name: "no name", edit: { dnsNames: [] }, want: "a subjectAltName is required" },
  { name: "another network", edit: { ipAddresses: ["10.0.1.7"] }, want: "IP subjectAltName is not allowed: 10.0.1.7" },
  ...[
    "web/a",
    "spiffe://example.com/web/",
    "spiffe://example.com/webber/a",
    "spiffe://example.com.evil/web/a",
    "spiffe://example.com/web/../db",
    "spiffe://example.com/web/%2e%2e/db",
    "spiffe://example.com/web//a",
    "spiffe://example.com/web/a?b",
    "spiffe://example.com/web/a#b",
    "spiffe://example.com:1/web/a",
    "spiffe://u@example.com/web/a",
  ].map((uri) => ({
    name: `URI ${uri}`,
    edit: { uris: [uri] },
    want: `URI subjectAltName is not allowed: ${uri}`,
  })),
  ...["a@b@example.com", "@example.com", "a@example.com.evil", '"a b"@example.com'].map((email) => ({
    name: `e-mail ${email}`,
    edit: { emailAddresses: [email] },
    want: `Email subjectAltName is not allowed: ${email}`,
  })),
  {
    name: "an extra usage",
    edit: { usages: ["server auth", "client auth"] },
    want: "usage is not allowed: client auth",
  },
  { name: "a missing usage", edit: { usages: ["digital signature"] }, want: "usage is required: server auth" },
  { name: "no usages", edit: { usages: [] }, want: "usages are missing" },
  { name: "an unknown usage", edit: { usages: ["x"] }, want: "usage is not allowed: x" },
  { name: "a small RSA key", edit: { keyAlgorithm: "rsa-2048" }, want: "key is not allowed: RSA of 2048 bits" },
  { name: "a large curve", edit: { keyAlgorithm: "ecdsa-p384" }, want: "key is not allowed: ECDSA of 384 bits" },
  { name: "Ed25519", edit: { keyAlgorithm: "ed25519" } },
];

for (const { name, edit, want } of cases) {
  test(`createCustomProfile() ${want === undefined ? "allows" : "refuses"}: ${name}`, async () => {
    assert.equal(await check(full, { ...fine, ...edit }), want);
  });
}

for (
  const { keys, want } of [
    { keys: "", want: "key is not allowed: ML-DSA-44 of 10496 bits" },
    { keys: "keys: [{ type: ML-DSA-65 }]", want: "key is not allowed: ML-DSA-44 of 10496 bits" },
    { keys: "keys: [{ type: RSA }, { type: ML-DSA-44 }]", want: undefined },
  ]
) {
  test(`createCustomProfile() ${want === undefined ? "allows" : "refuses"} an ML-DSA-44 key by "${keys}"`, async () => {
    const profile = createCustomProfile("example.com/keys", parseProfileOrThrow(`${MINIMAL}${keys}\n`));
    const facts = parseRequest((await buildCsr({ request: getMlDsaRequest() })).spec.request);
    assert.ok(facts.ok);
    const rule = profile.rules.find(({ name }) => name === "key");
    assert.equal(rule?.check(facts.value, [], undefined), want);
  });
}

const least = createCustomProfile("example.com/least", parseProfileOrThrow(MINIMAL));
const bare: CsrOptions = { commonName: "", organizations: [], usages: ["server auth"] };

for (
  const { name, edit, want } of [
    { name: "a common name", edit: { commonName: "a" }, want: "subject common name is not allowed: a" },
    { name: "an organization", edit: { organizations: ["o"] }, want: "subject organization is not allowed: o" },
    { name: "a DNS name", edit: { dnsNames: ["a"] }, want: `${DNS}: a` },
    { name: "an address", edit: { ipAddresses: ["::1"] }, want: "IP subjectAltName is not allowed: ::1" },
    { name: "a URI", edit: { uris: ["a:b"] }, want: "URI subjectAltName is not allowed: a:b" },
    { name: "an e-mail address", edit: { emailAddresses: ["a@b"] }, want: "Email subjectAltName is not allowed: a@b" },
    {
      name: "no extended usage",
      edit: { usages: ["digital signature"] },
      want: "an extended key usage is required: without one the certificate would be valid for every purpose",
    },
  ]
) {
  test(`createCustomProfile() allows nothing that the profile does not list: ${name}`, async () => {
    assert.equal(await check(least, bare), undefined);
    assert.equal(await check(least, { ...bare, ...edit }), want);
  });
}

for (
  const { rules, edit, want } of [
    { rules: "subject: { commonName: { allowed: [a], required: true } }", edit: { commonName: "a" } },
    {
      rules: "subject: { commonName: { allowed: [a], required: true } }",
      edit: {},
      want: "subject common name is required",
    },
    { rules: 'names: { dns: { allowed: ["*.a"], min: 2 } }', edit: { dnsNames: ["a.a", "b.a"] } },
    {
      rules: 'names: { dns: { allowed: ["*.a"], min: 2, max: 3 } }',
      edit: { dnsNames: ["a.a"] },
      want: "DNS subjectAltName: at least 2 are required",
    },
    { rules: 'subject: { organizations: { allowed: ["a *"] } }', edit: { organizations: ["a b.c"] } },
    { rules: 'names: { uris: { allowed: ["urn:a?b"] } }', edit: { uris: ["urn:a?b"] } },
    {
      rules: 'names: { uris: { allowed: ["urn:a?b"] } }',
      edit: { uris: ["urn:b"] },
      want: "URI subjectAltName is not allowed: urn:b",
    },
    {
      rules: `names: { emails: { allowed: ['"a b"@a.example'] } }`,
      edit: { emailAddresses: ['"a b"@a.example'] },
    },
    {
      rules: `names: { emails: { allowed: ['"a b"@a.example'] } }`,
      edit: { emailAddresses: ["a@a.example"] },
      want: "Email subjectAltName is not allowed: a@a.example",
    },
  ] as readonly { readonly rules: string; readonly edit: CsrOptions; readonly want?: string }[]
) {
  test(`createCustomProfile() ${want ?? "allows"}: ${JSON.stringify(edit)} by ${rules}`, async () => {
    const profile = createCustomProfile("example.com/x", parseProfileOrThrow(`${MINIMAL}${rules}\n`));
    assert.equal(await check(profile, { ...bare, ...edit }), want);
  });
}

test("createCustomProfile() refuses a second common name, because signers would keep only the last", async () => {
  const csr = await buildCsr(fine);
  const facts = parseRequest(csr.spec.request);
  assert.ok(facts.ok);
  const named = (...values: readonly string[]) =>
    encodeSequence(
      ...values.map((value) => encodeSetOf([encodeSequence(encodeOid("2.5.4.3"), encodeText(value))])),
      ...["team", "web"].map((value) => encodeSetOf([encodeSequence(encodeOid("2.5.4.10"), encodeText(value))])),
    );
  const checkNamed = (...values: readonly string[]) =>
    checkProfile(full, { ...facts.value, subject: parseName(named(...values), "request") }, fine.usages ?? [])?.message;
  assert.equal(checkNamed("web-1"), undefined);
  assert.equal(checkNamed("admin", "web-1"), "subject attribute is given several times: 2.5.4.3");
});

test("createCustomProfile() refuses attributes and names for which a profile has no rules", async () => {
  const facts = parseRequest((await buildCsr(fine)).spec.request);
  assert.ok(facts.ok);
  const otherAttributes = [{ oid: "1.2.3", value: "a" }];
  for (
    const [edit, want] of [
      [{}, undefined],
      [{ otherNames: 1 }, "a subjectAltName is neither DNS, IP, URI nor Email"],
      [{ subject: { ...facts.value.subject, otherAttributes } }, "subject attribute is not allowed: 1.2.3"],
    ] as const
  ) assert.equal(checkProfile(full, { ...facts.value, ...edit }, fine.usages ?? [])?.message, want);
});

for (
  const [name, pattern] of [
    ["wildcards are not requested", '{ allowed: ["*.a.example"] }'],
    [
      "no pattern has a label of stars there",
      '{ allowed: ["x*.a.example", "x.a.example", "*.b.example"], wildcards: true }',
    ],
  ]
) {
  test(`createCustomProfile() refuses a wildcard name where ${name}`, async () => {
    const profile = createCustomProfile("example.com/x", parseProfileOrThrow(`${MINIMAL}names: { dns: ${pattern} }\n`));
    assert.equal(await check(profile, { ...bare, dnsNames: ["xx.a.example"] }), undefined);
    assert.equal(await check(profile, { ...bare, dnsNames: ["*.a.example"] }), `${DNS}: *.a.example`);
  });
}

test("createCustomProfile() compares exact names unchanged, but addresses in any notation", async () => {
  const rules = 'names: { dns: { exactly: ["*.a.example"] }, ips: { exactly: ["2001:DB8:0::1"] } }\n';
  const profile = createCustomProfile("example.com/x", parseProfileOrThrow(`${MINIMAL}${rules}`));
  assert.equal(await check(profile, { ...bare, dnsNames: ["*.a.example"], ipAddresses: ["2001:db8::1"] }), undefined);
  assert.equal(
    await check(profile, { ...bare, dnsNames: ["*.a.example"] }),
    "IP subjectAltName is required: 2001:db8::1",
  );
});
