import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestAuthority, issueTestCertificate, planTestLeaf } from "../../tests/support/test_authority.ts";
import { TRUST_ANCHOR } from "../../tests/support/trust_anchor.ts";
import type { ClusterTrustBundle } from "../kube/kinds/certificates_v1.ts";
import { formatFieldError } from "../kube/status/field_error.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import {
  planTrustBundles,
  trustBundleNameErrors,
  validateTrustBundleCreate,
  validateTrustBundleUpdate,
} from "./cluster_trust_bundle.ts";

function build(name: string, signerName: string, trustBundle = TRUST_ANCHOR): ClusterTrustBundle {
  return { metadata: { name }, spec: { ...(signerName === "" ? {} : { signerName }), trustBundle } };
}

const FOO = "example.com/foo";
const WRONG_PREFIX = `ClusterTrustBundle for signerName ${FOO} must be named with prefix example.com:foo:`;
for (
  const { name, signerName = FOO, prefix = false, want } of [
    { name: "example.com:foo:v1" },
    { name: "example.com:foo:v-", prefix: true },
    { name: "plain", signerName: "" },
    { name: "foo", want: /^ClusterTrustBundle for signerName/ },
    { name: "example.com:bar:v1", want: new RegExp(`^${WRONG_PREFIX}$`) },
    { name: "example.com:foo:", want: /^a lowercase RFC 1123 subdomain/ },
    { name: "example.com:foo:a:b", want: /^a lowercase RFC 1123 subdomain/ },
    { name: "example.com:foo:", prefix: true, want: /^a lowercase RFC 1123 subdomain/ },
    { name: "a:b", signerName: "", want: /^ClusterTrustBundle without signer name must not have ":" in its name$/ },
    { name: "A", signerName: "", want: /^a lowercase RFC 1123 subdomain/ },
  ]
) {
  const title = `${prefix ? "generateName " : ""}"${name}" of signer "${signerName}"`;
  test(`trustBundleNameErrors() ${want === undefined ? "accepts" : "refuses"} ${title}`, () => {
    const errors = trustBundleNameErrors(name, prefix, build(name, signerName));
    assert.equal(errors.length, want === undefined ? 0 : 1);
    if (want !== undefined) assert.match(errors[0]!, want);
  });
}

const KEY = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
const WITH_HEADER = "-----BEGIN CERTIFICATE-----\na: b\n\nMAA=\n-----END CERTIFICATE-----\n";
const NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
for (
  const { name, bundle, want } of [
    { name: "a CA with text around it", bundle: `before\n${TRUST_ANCHOR}after`, want: [] },
    { name: "no text", bundle: "", want: ["at least one trust anchor must be provided"] },
    { name: "no PEM", bundle: "text", want: ["at least one trust anchor must be provided"] },
    { name: "a key", bundle: TRUST_ANCHOR + KEY, want: ["entry 1 has bad block type: PRIVATE KEY"] },
    { name: "headers", bundle: WITH_HEADER, want: ["entry 0 has PEM block headers"] },
    { name: "other bytes", bundle: NO_CERTIFICATE, want: ["entry 0 does not parse as X.509"] },
    {
      name: "a CA three times",
      bundle: TRUST_ANCHOR.repeat(3),
      want: ["duplicate trust anchor (indices [0 1 2])"],
    },
    {
      name: "duplicates and another fault",
      bundle: TRUST_ANCHOR.repeat(2) + KEY,
      want: ["entry 2 has bad block type: PRIVATE KEY"],
    },
  ]
) {
  test(`validateTrustBundleCreate() checks the bundle: ${name}`, () => {
    assert.deepEqual(
      validateTrustBundleCreate(build("b", "", bundle)).map(formatFieldError),
      want.map((detail) => `spec.trustBundle: Invalid value: "<value omitted>": ${detail}`),
    );
  });
}

test("validateTrustBundleCreate() refuses a name that is no signer", () => {
  const [fault, ...others] = validateTrustBundleCreate(build("foo:v1", "foo")).map(formatFieldError);
  assert.match(fault ?? "", /^spec\.signerName: Invalid value: "foo": /);
  assert.deepEqual(others, []);
});

test("validateTrustBundleCreate() refuses a certificate that is not a CA", async () => {
  const authority = await createTestAuthority();
  const leaf = await issueTestCertificate(authority, planTestLeaf(authority.privateKey));
  const bundle = authority.certificatePem + encodePem("CERTIFICATE", leaf.der);
  assert.deepEqual(validateTrustBundleCreate(build("b", "", bundle)).map(formatFieldError), [
    'spec.trustBundle: Invalid value: "<value omitted>": entry 1 does not have the CA bit set',
  ]);
});

test("validateTrustBundleCreate() limits the bundle to 1 MiB", () => {
  assert.deepEqual(validateTrustBundleCreate(build("b", "", "é".repeat(524_289))).map(formatFieldError), [
    "spec.trustBundle: Too long: may not be more than 1048576 bytes",
  ]);
});

test("validateTrustBundleUpdate() does not parse an unchanged bundle", () => {
  const old = build("b", "", "text");
  assert.deepEqual(validateTrustBundleUpdate(old, old), []);
  assert.equal(validateTrustBundleUpdate(build("b", "", "other text"), old).length, 1);
});

test("validateTrustBundleUpdate() refuses another signer, whose bundles have other names", () => {
  const old = build("example.com:foo:v1", FOO);
  assert.deepEqual(
    validateTrustBundleUpdate(build("example.com:foo:v1", "example.com/bar"), old).map(formatFieldError),
    [
      'metadata.name: Invalid value: "example.com:foo:v1": ClusterTrustBundle for signerName example.com/bar must be ' +
      "named with prefix example.com:bar:",
      'spec.signerName: Invalid value: "example.com/bar": field is immutable',
    ],
  );
});

const SIGNER = "example.com/pods/web";
/** The name that `constructBundleName` of upstream gives the bundle `PEM`. */
const NAME = "example.com:pods:web:384fb9a44fabe158be2757b9";

const NOW = new Date("2026-05-04T12:00:00Z");
const HOUR_MS = 3_600_000;

const own = { "tlsboot/a": "1" };
/** The bundle that is wanted, with annotations. */
const annotated = (annotations: Record<string, string>): ClusterTrustBundle => {
  const plain = bundle(NAME, "PEM");
  return { ...plain, metadata: { ...plain.metadata, annotations } };
};

function bundle(name: string, trustBundle: string, signerName = SIGNER, ageHours = 100): ClusterTrustBundle {
  const creationTimestamp = new Date(NOW.getTime() - ageHours * HOUR_MS).toISOString();
  return { metadata: { name, resourceVersion: "7", creationTimestamp }, spec: { signerName, trustBundle } };
}

for (
  const { name, existing, annotations, want } of [
    { name: "creates the first bundle", existing: [], want: { verb: "create", deletions: [] } },
    {
      name: "does not change a correct bundle",
      existing: [bundle(NAME, "PEM")],
      want: { verb: undefined, deletions: [] },
    },
    {
      name: "corrects a bundle",
      existing: [bundle(NAME, "other")],
      want: { verb: "update", deletions: [], annotations: {} },
    },
    {
      name: "annotates a new bundle",
      existing: [],
      annotations: own,
      want: { verb: "create", deletions: [], annotations: own },
    },
    {
      name: "does not change a correct annotated bundle",
      existing: [annotated({ ...own, "example.com/x": "x" })],
      annotations: own,
      want: { verb: undefined, deletions: [] },
    },
    {
      name: "replaces only its own annotations",
      existing: [annotated({ "tlsboot/b": "0", "example.com/x": "x" })],
      annotations: own,
      want: { verb: "update", deletions: [], annotations: { ...own, "example.com/x": "x" } },
    },
    {
      name: "deletes the earlier bundles of the signer, and no others",
      existing: [bundle(NAME, "PEM"), bundle("old", "OLD"), bundle("foreign", "X", "example.com/other")],
      want: { verb: undefined, deletions: ["old"] },
    },
  ]
) {
  test(`planTrustBundles() ${name}`, () => {
    const content = { trustBundle: "PEM", ...(annotations === undefined ? {} : { annotations }) };
    const { write, deletions } = planTrustBundles(SIGNER, content, existing, NOW);
    assert.equal(write?.verb, want.verb);
    assert.deepEqual(deletions.map(({ metadata }) => metadata.name), want.deletions);
    if (write === undefined) return;
    assert.equal(write.bundle.metadata.name, NAME);
    assert.deepEqual(write.bundle.metadata.annotations, want.annotations);
    assert.deepEqual(write.bundle.spec, { signerName: SIGNER, trustBundle: "PEM" });
    // An update is guarded by the version that was read.
    assert.equal(write.bundle.metadata.resourceVersion, write.verb === "update" ? "7" : undefined);
  });
}

for (
  const { name, existing, want } of [
    {
      name: "keeps an earlier bundle when it creates the new one",
      existing: [bundle("old", "OLD")],
      want: { deletions: [], keptForMs: 24 * HOUR_MS },
    },
    {
      name: "keeps an earlier bundle until the new one has been there for long enough",
      existing: [bundle(NAME, "PEM", SIGNER, 20), bundle("old", "OLD")],
      want: { deletions: [], keptForMs: 4 * HOUR_MS },
    },
    {
      name: "deletes an earlier bundle then",
      existing: [bundle(NAME, "PEM", SIGNER, 24), bundle("old", "OLD")],
      want: { deletions: ["old"], keptForMs: undefined },
    },
    {
      name: "keeps the newer bundle of a CA that was replaced by its predecessor",
      existing: [bundle(NAME, "PEM"), bundle("newer", "NEW", SIGNER, 1), bundle("old", "OLD")],
      want: { deletions: ["old"], keptForMs: 23 * HOUR_MS },
    },
  ]
) {
  test(`planTrustBundles() for a day ${name}`, () => {
    const { deletions, keptForMs } = planTrustBundles(SIGNER, { trustBundle: "PEM" }, existing, NOW, 24 * HOUR_MS);
    assert.deepEqual({ deletions: deletions.map(({ metadata }) => metadata.name), keptForMs }, want);
  });
}
