import { strict as assert } from "node:assert";
import { test } from "node:test";
import {
  createIntermediate,
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  NOW,
  planTestLeaf,
} from "../../../tests/support/test_authority.ts";
import { buildChainCases, type ChainCase } from "../../../tests/support/chain_cases.ts";
import type { Verdict } from "../../../tests/support/chain_drafts.ts";
import { findHostFault } from "../../../client/transport/connection_error.ts";
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { type ChainOptions, verifyChain } from "./chain.ts";
import { type NameConstraints, type NameSubtrees, NO_SUBTREES } from "./name_constraints.ts";

const client: ChainOptions = { at: NOW, usage: "client" };
const only = (permitted: Partial<NameSubtrees>): NameConstraints => ({
  permitted: { ...NO_SUBTREES, ...permitted },
  excluded: NO_SUBTREES,
});
const UNKNOWN = "x509: certificate signed by unknown authority";

function outcome(
  leaf: CertificateFacts,
  intermediates: readonly CertificateFacts[],
  roots: readonly CertificateFacts[],
  options: ChainOptions = client,
): string {
  const result = verifyChain(leaf, intermediates, roots, options);
  return result.ok ? result.value.map(({ subject }) => subject.commonName).join(" < ") : result.error;
}

for (
  const { name, usages, usage, want } of [
    { name: "client auth", usages: ["client auth"], usage: "client", want: "good" },
    { name: "server auth", usages: ["server auth"], usage: "client", want: "incompatible" },
    { name: "server auth", usages: ["server auth"], usage: "server", want: "good" },
    { name: "any", usages: ["any"], usage: "client", want: "good" },
    { name: "no extended usage", usages: ["digital signature"], usage: "client", want: "good" },
    { name: "code signing", usages: ["code signing"], usage: undefined, want: "good" },
  ] as const
) {
  test(`verifyChain() finds ${name} ${want} for ${usage ?? "everything"}`, async () => {
    const root = await createTestAuthority();
    const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey, { usages }));
    const options = usage === undefined ? { at: NOW } : { at: NOW, usage };
    const expected = want === "good"
      ? "system:node:n1 < kubernetes"
      : "x509: certificate specifies an incompatible key usage";
    assert.equal(outcome(leaf, [], [root.certificate], options), expected);
  });
}

test("verifyChain() checks the dates of the leaf, to the second", async () => {
  const root = await createTestAuthority();
  const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey));
  const at = (time: Date): string => outcome(leaf, [], [root.certificate], { at: time, usage: "client" });
  assert.equal(at(leaf.notBefore), "system:node:n1 < kubernetes");
  assert.equal(at(leaf.notAfter), "system:node:n1 < kubernetes");
  assert.equal(
    at(new Date(leaf.notAfter.getTime() + 1000)),
    "x509: certificate has expired or is not yet valid: current time 2026-11-25T13:00:01Z is after 2026-11-25T13:00:00Z",
  );
  assert.match(at(new Date(leaf.notBefore.getTime() - 1000)), /is before 2026-11-25T11:55:00Z$/);
});

test("verifyChain() checks the dates of the root, unless another component has checked them", async () => {
  const root = await createTestAuthority("ecdsa-p256", { notAfter: hoursFromNow(-1) });
  const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey));
  assert.match(outcome(leaf, [], [root.certificate]), /^x509: certificate has expired or is not yet valid/);
  assert.equal(outcome(leaf, [], [root.certificate], { at: undefined }), "system:node:n1 < kubernetes");
});

test("verifyChain() refuses another root with the same name", async () => {
  const root = await createTestAuthority();
  const impostor = await createTestAuthority();
  const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey));
  assert.equal(outcome(leaf, [], [impostor.certificate]), UNKNOWN);
  assert.equal(outcome(leaf, [root.certificate], [impostor.certificate]), UNKNOWN);
  assert.equal(outcome(leaf, [], []), UNKNOWN);
  assert.equal(outcome(leaf, [], [impostor.certificate, root.certificate]), "system:node:n1 < kubernetes");
  const renamed = await issueTestCertificate(impostor, planTestLeaf(root.privateKey, { isCa: true, usages: [] }));
  assert.equal(outcome(leaf, [renamed], [impostor.certificate]), UNKNOWN);
});

test("verifyChain() verifies at most a hundred signatures", async () => {
  const root = await createTestAuthority();
  const impostor = { ...(await createTestAuthority()).certificate, subjectKeyId: undefined };
  const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey));
  const behind = (impostors: number) => outcome(leaf, [], [...Array(impostors).fill(impostor), root.certificate]);
  assert.equal(behind(99), "system:node:n1 < kubernetes");
  assert.equal(behind(100), UNKNOWN);
});

test("verifyChain() accepts a leaf that is itself trusted", async () => {
  const root = await createTestAuthority();
  assert.equal(outcome(root.certificate, [], [root.certificate]), "kubernetes");
});

test("verifyChain() walks intermediates in any order", async () => {
  const root = await createTestAuthority();
  const upper = await createIntermediate(root, "upper");
  const lower = await createIntermediate(upper, "lower");
  const leaf = await issueTestCertificate(lower, planTestLeaf(root.privateKey));
  const wanted = "system:node:n1 < lower < upper < kubernetes";
  assert.equal(outcome(leaf, [upper.certificate, lower.certificate], [root.certificate]), wanted);
  assert.equal(outcome(leaf, [lower.certificate, upper.certificate], [root.certificate]), wanted);
  assert.equal(outcome(leaf, [lower.certificate], [root.certificate]), UNKNOWN);
});

for (
  const { name, upper, lower, want } of [
    {
      name: "a path length that is exceeded",
      upper: { maxPathLength: 0 },
      lower: {},
      want: "x509: too many intermediates for path length constraint",
    },
    { name: "a path length that suffices", upper: { maxPathLength: 1 }, lower: { maxPathLength: 0 }, want: "good" },
    { name: "an issuer that is not a CA", upper: {}, lower: { isCa: false }, want: "cannot sign" },
    { name: "an issuer without keyCertSign", upper: {}, lower: { usages: ["crl sign"] }, want: "cannot sign" },
    {
      name: "an issuer for servers only",
      upper: {},
      lower: { usages: ["cert sign", "server auth"] },
      want: "x509: certificate specifies an incompatible key usage",
    },
    { name: "an expired issuer", upper: {}, lower: { notAfter: hoursFromNow(-0.01) }, want: "expired" },
  ]
) {
  test(`verifyChain() checks ${name}: ${want}`, async () => {
    const root = await createTestAuthority();
    const first = await createIntermediate(root, "upper", upper);
    const second = await createIntermediate(first, "lower", lower);
    const leaf = await issueTestCertificate(second, planTestLeaf(root.privateKey));
    const found = outcome(leaf, [first.certificate, second.certificate], [root.certificate]);
    assert.ok(found.includes(want === "good" ? "< kubernetes" : want), found);
  });
}

test("verifyChain() finds a path despite rings of issuers and dead ends", async () => {
  const root = await createTestAuthority();
  const other = await createTestAuthority("ecdsa-p256", { commonName: "other" });
  const unknown = await createTestAuthority("ecdsa-p256", { commonName: "unknown" });
  const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey));
  const plan = planTestLeaf(root.privateKey, { subject: { commonName: "kubernetes" }, isCa: true, usages: [] });
  const ring = [await issueTestCertificate(root, plan), root.certificate];
  const [deadEnd, wayOut] = [await issueTestCertificate(unknown, plan), await issueTestCertificate(other, plan)];
  assert.equal(outcome(leaf, ring, []), UNKNOWN);
  assert.equal(
    outcome(leaf, [deadEnd, ...ring, wayOut], [other.certificate]),
    "system:node:n1 < kubernetes < kubernetes < kubernetes < other",
  );
});

test("verifyChain() refuses unknown critical extensions and keys that are too large, but not the large key of a root", async () => {
  const root = await createTestAuthority("rsa-2048");
  const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey));
  const ofBits = (bits: number) => ({ publicKey: { ...leaf.publicKey, bits } });
  const edited = (edit: Partial<CertificateFacts>) =>
    outcome({ ...leaf, ...edit }, [], [{ ...root.certificate, ...ofBits(8193) }]);
  assert.equal(edited(ofBits(8192)), "system:node:n1 < kubernetes");
  assert.equal(edited(ofBits(8193)), "x509: certificate has an RSA key larger than 8192 bits");
  assert.equal(edited({ publicKey: { ...leaf.publicKey, weakness: "weak" } }), "weak");
  assert.equal(edited({ unknownCriticalExtensions: ["1.2.3"] }), "x509: unhandled critical extension");
});

test("verifyChain() checks the names of a leaf against the constraints of every CA above it", async () => {
  const root = await createTestAuthority();
  const upper = await createIntermediate(root, "upper", { nameConstraints: only({ dnsNames: ["example.org"] }) });
  const lower = await createIntermediate(upper, "lower", { nameConstraints: only({ ipRanges: ["10.0.0.0/8"] }) });
  const check = async (names: { readonly dnsNames?: string[]; readonly ipAddresses?: string[] }): Promise<string> => {
    const leaf = await issueTestCertificate(lower, planTestLeaf(root.privateKey, names));
    return outcome(leaf, [lower.certificate, upper.certificate], [root.certificate]);
  };
  const good = "system:node:n1 < lower < upper < kubernetes";
  const prefix = "x509: issuer has name constraints but leaf contains unknown or unconstrained name: ";
  assert.equal(await check({}), good);
  assert.equal(await check({ dnsNames: ["n1.example.org"], ipAddresses: ["10.1.2.3"] }), good);
  assert.equal(
    await check({ dnsNames: ["n1.example.com"] }),
    `${prefix}DNS name "n1.example.com" is not permitted by any constraint`,
  );
  assert.equal(
    await check({ ipAddresses: ["192.0.2.1"] }),
    `${prefix}IP address "192.0.2.1" is not permitted by any constraint`,
  );
});

test("verifyChain() checks names against the constraints of a trusted root, too", async () => {
  const plain = await createTestAuthority();
  const root = { ...plain.certificate, nameConstraints: only({ dnsNames: ["example.org"] }) };
  const leaf = await issueTestCertificate(plain, planTestLeaf(plain.privateKey, { dnsNames: ["a.example.com"] }));
  assert.match(outcome(leaf, [], [root]), /is not permitted by any constraint$/);
  const own = { subject: { commonName: "kubernetes" }, dnsNames: ["a.example.com"] };
  const selfIssued = await issueTestCertificate(plain, planTestLeaf(plain.privateKey, own));
  assert.match(outcome(selfIssued, [], [root]), /is not permitted by any constraint$/);
  const next = await createIntermediate(plain, "kubernetes", own);
  const below = await issueTestCertificate(next, planTestLeaf(plain.privateKey));
  assert.equal(outcome(below, [next.certificate], [root]), "system:node:n1 < kubernetes < kubernetes");
});

// Each case against our own verification of paths and hosts; tls_transport_test.ts runs them against a client.
/** The time limit of one case. An expensive path search would never end; each of these cases takes milliseconds. */
const NEVER_ENDING_MS = 120_000;

/** Built once, because keys are expensive, and `deno task mutants` runs the test often. */
let built: Promise<readonly ChainCase[]> | undefined;

test("verifyChain() and findHostFault() decide as RFC 5280 and RFC 6125 do", async (t) => {
  const cases = await (built ??= buildChainCases(NOW));
  assert.ok(cases.length > 150, String(cases.length));
  for (const one of cases) {
    const options = { timeout: NEVER_ENDING_MS };
    // Deno verifies with RSA keys of up to 4096 bits.
    const want = "Deno" in globalThis && one.name.includes("RSA key of 7680 bits") ? "refuse" : one.want;
    await t.test(`${want}: ${one.name}`, options, () => assert.equal(findVerdict(one), want));
  }
});

function findVerdict({ chain, roots, host }: ChainCase): Verdict {
  const [leaf, ...behind] = chain.map(read);
  const trusted = roots.map(read).filter((root) => root !== undefined);
  if (leaf === undefined || behind.includes(undefined)) return "refuse";
  const intermediates = behind.filter((one) => one !== undefined);
  const path = verifyChain(leaf, intermediates, trusted, { at: NOW, usage: "server" });
  return path.ok && findHostFault(leaf, host) === undefined ? "accept" : "refuse";
}

function read(der: Uint8Array<ArrayBuffer>): CertificateFacts | undefined {
  const facts = parseCertificate(der);
  return facts.ok ? facts.value : undefined;
}
