/**
 * From a custom profile to a certificate: lifetimes, default usages and added extensions, and the property that no
 * certificate exceeds its profile.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { buildCsr, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { parseRequest } from "../request/parse_request.ts";
import { toExtendedKeyUsageOids, toKeyUsageBits } from "../pki/x509/usages.ts";
import { KEY_USAGES } from "../kube/kinds/constants.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import type { Result } from "../lib/result.ts";
import { FULL, MINIMAL, parseProfileOrThrow } from "../../tests/support/test_profiles.ts";
import { createCustomProfile } from "./custom_profile.ts";
import { planCertificate, type PlanInput, type SigningRefusal } from "./profile.ts";
import type { ProfileSpec } from "./profile_spec.ts";
import { type CertificatePlan, issueCertificate } from "../pki/authority/issue.ts";

const NOW = new Date("2026-05-04T03:02:01Z");
const HOUR_S = 3_600;
const ca = createSigningCa();

async function plan(
  spec: ProfileSpec,
  edit: CsrOptions,
  options: Partial<PlanInput> = {},
): Promise<Result<CertificatePlan, SigningRefusal>> {
  const csr = await buildCsr({ commonName: "", organizations: [], usages: ["server auth"], ...edit });
  const facts = parseRequest(csr.spec.request);
  assert.ok(facts.ok);
  return planCertificate({
    csr,
    facts: facts.value,
    profile: createCustomProfile("example.com/x", spec),
    caNotAfter: (await ca).certificate.notAfter,
    signingDurationSeconds: 8_760 * HOUR_S,
    now: NOW,
    ...options,
  });
}

async function issue(planned: CertificatePlan): Promise<CertificateFacts> {
  const facts = parseCertificate(await issueCertificate(planned, await ca, Uint8Array.of(7)));
  assert.ok(facts.ok, facts.ok ? "" : facts.error);
  return facts.value;
}

const bounded = parseProfileOrThrow(MINIMAL.replace("{ max: 24h }", "{ max: 24h, default: 10h, min: 2h }"));

for (
  const { name, seconds, signing = 8_760 * HOUR_S, want } of [
    { name: "no requested lifetime gives the default", seconds: undefined, want: 10 * HOUR_S },
    { name: "more than the maximum gives the maximum", seconds: 48 * HOUR_S, want: 24 * HOUR_S },
    { name: "a lifetime in between is used as requested", seconds: 12 * HOUR_S, want: 12 * HOUR_S },
    { name: "the minimum is allowed", seconds: 2 * HOUR_S, want: 2 * HOUR_S + 300 },
    { name: "the signer's limit applies too", seconds: 12 * HOUR_S, signing: 3 * HOUR_S, want: 3 * HOUR_S + 300 },
    {
      name: "the signer's limit may be the minimum",
      seconds: 12 * HOUR_S,
      signing: 2 * HOUR_S,
      want: 2 * HOUR_S + 300,
    },
    {
      name: "the signer's limit applies to the default",
      seconds: undefined,
      signing: 3 * HOUR_S,
      want: 3 * HOUR_S + 300,
    },
  ]
) {
  test(`planCertificate() with lifetimes of a profile: ${name}`, async () => {
    const edit = seconds === undefined ? {} : { expirationSeconds: seconds };
    const planned = await plan(bounded, edit, { signingDurationSeconds: signing });
    assert.ok(planned.ok);
    assert.equal((planned.value.notAfter.getTime() - planned.value.notBefore.getTime()) / 1_000, want);
  });
}

for (
  const { name, edit = {}, options = {}, want } of [
    {
      name: "less than the minimum",
      edit: { expirationSeconds: 2 * HOUR_S - 1 },
      want: { kind: "failed", message: "lifetime is too short: 1h59m59s, want at least 2h0m0s" },
    },
    {
      name: "a signer whose limit is below the minimum",
      options: { signingDurationSeconds: HOUR_S },
      want: { kind: "error", message: "the signing duration is below the least lifetime of this profile" },
    },
    {
      name: "a CA that ends before the minimum lifetime",
      options: { caNotAfter: new Date(NOW.getTime() + HOUR_S * 1_000) },
      want: {
        kind: "error",
        message: "the signer ends too soon for this profile: NotAfter=2026-05-04 04:02:01 +0000 UTC",
      },
    },
  ]
) {
  test(`planCertificate() with lifetimes of a profile refuses: ${name}`, async () => {
    const planned = await plan(bounded, edit, options);
    assert.ok(!planned.ok);
    assert.deepEqual({ kind: planned.error.kind, message: planned.error.message }, want);
  });
}

test("planCertificate() uses the usages of the profile for a request without usages, or refuses it", async () => {
  const spec = parseProfileOrThrow(MINIMAL.replace("digital signature]", "digital signature], default: [server auth]"));
  const planned = await plan(spec, { usages: [] });
  assert.ok(planned.ok);
  assert.deepEqual(planned.value.usages, ["server auth"]);
  const refused = await plan(parseProfileOrThrow(MINIMAL), { usages: [] });
  assert.ok(!refused.ok && refused.error.message === "usages are missing");
});

for (const usages of [["client auth"], ["any"], ["digital signature"]]) {
  test(`planCertificate() refuses ${usages.join()} of a profile when the API trusts the CA for clients`, async () => {
    const spec = parseProfileOrThrow(MINIMAL.replace(/allowed: \[[^\]]*\]/, `allowed: [${usages.join()}]`));
    assert.equal((await plan(spec, { usages })).ok, true);
    assert.deepEqual(await plan(spec, { usages }, { clientTrust: "trusted" }), {
      ok: false,
      error: {
        kind: "failed",
        reason: "SignerValidationFailure",
        message: "client auth is not allowed: the API trusts this CA for clients",
      },
    });
  });
}

test("issueCertificate() adds a profile's extensions after all others, and node:crypto reads them", async () => {
  const planned = await plan(parseProfileOrThrow(FULL), {
    commonName: "web-1",
    organizations: ["web", "team"],
    dnsNames: ["a.web.example.com"],
  });
  assert.ok(planned.ok);
  const der = await issueCertificate(planned.value, await ca, Uint8Array.of(7));
  assert.equal(
    new X509Certificate(der).infoAccess,
    "OCSP - URI:http://ocsp.example.com\nCA Issuers - URI:http://pki.example.com/ca.crt",
  );
  const hex = Buffer.from(der).toString("hex");
  const at = ["551d11", "2b06010505070101", "551d20", "551d1f", "2b06010505070118"].map((oid) => hex.indexOf(oid));
  assert.deepEqual([...at].sort((a, b) => a - b), at);
  assert.ok(at.every((index) => index > 0));
  // Status request (RFC 7633): the OID, not critical, and the bytes of the file.
  assert.ok(hex.includes("301106082b0601050507011804053003020105"));
});

const arbitrarySubset = (values: readonly string[], maxLength = values.length) =>
  fc.subarray([...values], { maxLength });
const DNS = ["a.x.example", "b.a.x.example", "*.x.example", "x.example", "evil.example", "A.x.example"];
const PATTERNS = ["*.x.example", "**.x.example", "a.x.example", "evil.*"];
const IPS = ["10.0.0.1", "10.0.1.1", "2001:db8::1"];
const RANGES = ["10.0.0.0/24", "2001:db8::/32", "10.0.1.1"];
const NAMES = ["web", "db", "system:masters"];

const specs = fc.record({
  usages: fc.subarray(KEY_USAGES.filter((usage) => !["cert sign", "crl sign"].includes(usage)), { minLength: 16 }),
  patterns: arbitrarySubset(PATTERNS),
  wildcards: fc.boolean(),
  ranges: arbitrarySubset(RANGES),
  organizations: arbitrarySubset(NAMES),
  maxHours: fc.integer({ min: 1, max: 2_000 }),
  keys: fc.subarray(["RSA", "ECDSA", "Ed25519"], { minLength: 1 }),
});

const requests = fc.record({
  usages: arbitrarySubset(KEY_USAGES, 3),
  dnsNames: arbitrarySubset(DNS, 1),
  ipAddresses: arbitrarySubset(IPS, 1),
  organizations: arbitrarySubset(NAMES, 1),
  commonName: fc.constantFrom("", "", "", "web"),
  seconds: fc.option(fc.integer({ min: 600, max: 10_000_000 }), { nil: undefined }),
  keyAlgorithm: fc.constantFrom("ecdsa-p256" as const, "ed25519" as const),
});

/** Restates the pattern with regular expressions. */
function isNamed(name: string, pattern: string, wildcards: boolean): boolean {
  if (name.startsWith("*.") && !(wildcards && /^\*\*?\./.test(pattern))) return false;
  const source = pattern.replaceAll(".", "\\.").replaceAll("**", "§").replaceAll("*", "[a-z0-9*]+").replace(
    "§",
    "[a-z0-9*.]+",
  );
  return new RegExp(`^${source}$`).test(name);
}

test("an issued certificate never exceeds its profile", async () => {
  let issued = 0;
  const { certificate: { notAfter: caEnd } } = await ca;
  await fc.assert(
    fc.asyncProperty(specs, requests, async (wanted, asked) => {
      const list = (values: readonly string[]) => JSON.stringify(values);
      const rule = (name: string, values: readonly string[], more = "") =>
        values.length === 0 ? "" : `  ${name}: { allowed: ${list(values)}${more} }\n`;
      const subject = rule("organizations", wanted.organizations);
      const hasStars = wanted.patterns.some((pattern) => pattern.startsWith("*"));
      const wildcards = wanted.wildcards && hasStars;
      const names = rule("dns", wanted.patterns, `, wildcards: ${wildcards}`) + rule("ips", wanted.ranges);
      const spec = parseProfileOrThrow(
        `apiVersion: tlsboot/v1alpha1\nkind: SigningProfile\nusages: { allowed: ${list(wanted.usages)} }\n` +
          `lifetime: { max: ${wanted.maxHours}h }\nkeys: [${wanted.keys.map((type) => `{ type: ${type} }`).join()}]\n` +
          (subject === "" ? "" : `subject:\n${subject}`) + (names === "" ? "" : `names:\n${names}`),
      );
      const { seconds, ...edit } = asked;
      const planned = await plan(spec, { ...edit, ...(seconds === undefined ? {} : { expirationSeconds: seconds }) });
      if (!planned.ok) return;
      issued++;
      const facts = await issue(planned.value);
      assert.equal(facts.isCa, false);
      assert.ok(wanted.keys.some((type) => type === facts.keyAlgorithm));
      assert.equal(facts.subject.commonName, "");
      assert.ok(facts.subject.organizations.every((name) => wanted.organizations.includes(name)));
      assert.ok(facts.dnsNames.every((name) => wanted.patterns.some((one) => isNamed(name, one, wildcards))));
      assert.ok(facts.ipAddresses.every((ip) => wanted.ranges.some((range) => range.startsWith(ip.slice(0, 6)))));
      assert.deepEqual([...facts.uris, ...facts.emailAddresses], []);
      const [bits, purposes] = [toKeyUsageBits(wanted.usages), toExtendedKeyUsageOids(wanted.usages)];
      assert.ok(facts.keyUsages.every((bit) => bits.some((allowed) => allowed === bit)));
      assert.ok(facts.extendedKeyUsages.every((oid) => purposes.includes(oid)));
      // Without the extension, it would be valid for every purpose.
      assert.ok(facts.extendedKeyUsages.length > 0 || purposes.length === 0);
      assert.ok(facts.notAfter.getTime() - NOW.getTime() <= wanted.maxHours * HOUR_S * 1_000);
      assert.ok(facts.notAfter <= caEnd);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(issued > 100, `${issued} certificates are too few`);
});
