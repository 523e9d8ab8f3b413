import assert from "node:assert/strict";
import { test } from "node:test";
import { buildShopRequest, POD_PROFILE, type ShopRequestOptions } from "../../tests/support/pod_profile.ts";
import { createIntermediateCa, createSigningCa } from "../../tests/support/signing_ca.ts";
import { parseProfileOrThrow } from "../../tests/support/test_profiles.ts";
import { MAX_POD_CHAIN_BYTES } from "../kube/kinds/constants.ts";
import { parseCertificate } from "../pki/x509/certificate.ts";
import { issueCertificate } from "../pki/authority/issue.ts";
import { NO_SUBTREES } from "../pki/x509/name_constraints.ts";
import {
  createIssuedStatus,
  createRefusedStatus,
  findChainFault,
  planPodCertificate,
  type PodPlanInput,
} from "./pod_plan.ts";

const NOW = new Date("2026-05-04T03:02:01.9Z");
const HOUR_MS = 3_600_000;
const DNS = "example.com/dns-names";
const USAGES = "example.com/usages";
const ca = createSigningCa();
const profile = parseProfileOrThrow(POD_PROFILE);

async function plan(options: ShopRequestOptions = {}, edit: Partial<PodPlanInput> = {}) {
  return planPodCertificate({
    request: await buildShopRequest(options),
    spec: profile,
    caNotAfter: (await ca).certificate.notAfter,
    signingDurationSeconds: 365 * 86_400,
    now: NOW,
    ...edit,
  });
}

/** Plans a certificate with annotations of the pod. */
const annotated = (unverifiedUserAnnotations: Record<string, string>) => ({ spec: { unverifiedUserAnnotations } });

for (
  const { name, options, want } of [
    {
      name: "by default the names and usages of the profile",
      options: {},
      want: { dnsNames: ["shop.web.svc.cluster.local"], usages: ["digital signature", "client auth"] },
    },
    {
      name: "the names of an annotation instead",
      options: annotated({ [DNS]: "a.web.svc.cluster.local, b.web.svc.cluster.local" }),
      want: { dnsNames: ["a.web.svc.cluster.local", "b.web.svc.cluster.local"] },
    },
    {
      name: "the usages of an annotation instead",
      options: annotated({ [USAGES]: "digital signature,server auth" }),
      want: { usages: ["digital signature", "server auth"] },
    },
    {
      name: "the names of its own namespace and service account",
      options: { namespace: "team-a", spec: { serviceAccountName: "db.main" } },
      want: {
        subject: "db.main.team-a",
        uris: ["spiffe://example.org/ns/team-a/sa/db.main"],
        dnsNames: ["db.main.team-a.svc.cluster.local"],
      },
    },
  ] satisfies { name: string; options: ShopRequestOptions; want: Record<string, unknown> }[]
) {
  test(`planPodCertificate() gives a pod ${name}`, async () => {
    // The star of the profile is one label, so a service account with a dot needs another rule.
    const spec = parseProfileOrThrow(POD_PROFILE.replace('"*.{namespace}', '"**.{namespace}'));
    const planned = await plan(options, { spec });
    assert.ok(planned.ok, planned.ok ? "" : planned.error.message);
    const { subject, uris, dnsNames, usages } = planned.value.certificate;
    const got = { subject: subject.commonName, uris, dnsNames, usages };
    assert.deepEqual(got, {
      subject: "shop.web",
      uris: ["spiffe://example.org/ns/web/sa/shop"],
      dnsNames: ["shop.web.svc.cluster.local"],
      usages: ["digital signature", "client auth"],
      ...want,
    });
  });
}

for (
  const { name, options, reason, message } of [
    {
      name: "another namespace",
      options: { namespace: "kube-system" },
      message: "namespace is not allowed: kube-system",
    },
    { name: "another node", options: { spec: { nodeName: "edge" } }, message: "node is not allowed: edge" },
    {
      name: "a UID that could be read as a part of a URI",
      options: { spec: { podUID: "x/../y" } },
      message: "podUID is not a plain name: x/../y",
    },
    {
      name: "a key that the profile does not list",
      options: { keyAlgorithm: "rsa-3072" },
      reason: "UnsupportedKeyType",
      message: "key is not allowed: RSA of 3072 bits; keyType may be ECDSAP256 or ECDSAP384 or ED25519",
    },
    {
      name: "an annotation that the profile does not know",
      options: annotated({ "example.com/other": "x" }),
      reason: "InvalidUnverifiedUserAnnotations",
      message: `annotation is not allowed: example.com/other; this signer allows ${DNS}, ${USAGES}`,
    },
    {
      name: "a name of another namespace in an annotation",
      options: annotated({ [DNS]: "a.kube-system.svc.cluster.local" }),
      reason: "InvalidUnverifiedUserAnnotations",
      message: "DNS subjectAltName is not allowed: a.kube-system.svc.cluster.local",
    },
    {
      name: "an empty annotation",
      options: annotated({ [DNS]: "" }),
      reason: "InvalidUnverifiedUserAnnotations",
      message: "DNS subjectAltName is not allowed: ",
    },
    {
      name: "too many names in an annotation",
      options: annotated({ [DNS]: ["a", "b", "c"].map((label) => `${label}.web.svc.cluster.local`).join() }),
      reason: "InvalidUnverifiedUserAnnotations",
      message: "DNS subjectAltName: at most 2 are allowed",
    },
    {
      name: "a usage in an annotation that would make it valid for every purpose",
      options: annotated({ [USAGES]: "digital signature" }),
      reason: "InvalidUnverifiedUserAnnotations",
      message: "an extended key usage is required: without one the certificate would be valid for every purpose",
    },
    {
      name: "a lifetime below that of the profile",
      options: { spec: { maxExpirationSeconds: 3_600 } },
      message: "lifetime is too short: 1h0m0s, want at least 2h0m0s",
    },
    {
      name: "a request that names a subject",
      options: { stub: { subject: { commonName: "root" } } },
      message: "stubPKCS10Request has a subject or extensions, which a kubelet does not send",
    },
    {
      name: "a request that names a DNS name",
      options: { stub: { subject: {}, dnsNames: ["example.com"] } },
      message: "stubPKCS10Request has a subject or extensions, which a kubelet does not send",
    },
    {
      name: "a name that is too long for DNS",
      options: { spec: { serviceAccountName: "a".repeat(64) } },
      message: `DNS subjectAltName is not allowed: ${"a".repeat(64)}.web.svc.cluster.local`,
    },
  ] satisfies { name: string; options: ShopRequestOptions; reason?: string; message: string }[]
) {
  test(`planPodCertificate() denies ${name}`, async () => {
    assert.deepEqual(await plan(options), {
      ok: false,
      error: { kind: "Denied", reason: reason ?? "NotAllowedByProfile", message },
    });
  });
}

for (
  const { kind, pattern, value, fault } of [
    {
      kind: "uris",
      pattern: "spiffe://example.org/*",
      value: "spiffe://example.org/a,spiffe://example.org/\u00e9",
      fault: "a URI",
    },
    { kind: "uris", pattern: "https://*:*/x", value: "https://example.org:a/x", fault: "a URI" },
    { kind: "emails", pattern: "*@example.org", value: "a@example.org,\u00e9@example.org", fault: "an e-mail address" },
    { kind: "emails", pattern: "*@example.org", value: ".a@example.org", fault: "an e-mail address" },
  ]
) {
  test(`planPodCertificate() denies an annotation with ${JSON.stringify(value)}, which no certificate can have`, async () => {
    const rule = `{ allowed: ["${pattern}"], annotation: example.com/name }`;
    const spec = parseProfileOrThrow(POD_PROFILE.replace(/ {2}uris:.*\n/, `  ${kind}: ${rule}\n`));
    const planned = await plan(annotated({ "example.com/name": value }), { spec });
    assert.deepEqual(planned.ok ? planned.value.certificate : planned.error, {
      kind: "Denied",
      reason: "InvalidUnverifiedUserAnnotations",
      message: `"${value.split(",").at(-1)}" is not ${fault}`,
    });
  });
}

test("planPodCertificate() denies an exact name that is too long for DNS", async () => {
  const spec = parseProfileOrThrow(
    POD_PROFILE.replace(/ {2}dns:[^]*?max: 2\n/, '  dns: { exactly: ["{serviceAccount}.example.org"] }\n'),
  );
  const long = "a".repeat(64);
  const planned = await plan({ spec: { serviceAccountName: long } }, { spec });
  assert.ok(!planned.ok && planned.error.message === `"${long}.example.org" is not a DNS name`);
});

test("planPodCertificate() fails what cannot be signed, with the reason of a CertificateSigningRequest", async () => {
  const root = await ca;
  const permitted = { ...NO_SUBTREES, dnsNames: ["example.net"] };
  const narrow = await createIntermediateCa(root, "narrow", {
    nameConstraints: { permitted, excluded: NO_SUBTREES },
  });
  const whole = Buffer.from((await buildShopRequest()).spec.stubPKCS10Request ?? "", "base64");
  const changed = Buffer.from(whole.with(-1, whole.at(-1)! ^ 1)).toString("base64");
  const cases: readonly [ShopRequestOptions, Partial<PodPlanInput>, RegExp][] = [
    [{ spec: { stubPKCS10Request: "AAAA" } }, {}, /^stubPKCS10Request is not valid: asn1: /],
    [{ spec: { stubPKCS10Request: "%" } }, {}, /^stubPKCS10Request is not base64$/],
    [
      { spec: { stubPKCS10Request: changed } },
      {},
      /^stubPKCS10Request is not valid: x509: ECDSA verification failure$/,
    ],
    [{ spec: { stubPKCS10Request: null } }, {}, /^stubPKCS10Request is not valid: /],
    [{}, { clientTrust: "trusted" }, /^client auth is not allowed: the API trusts this CA for clients$/],
    [{}, { issuers: [narrow.certificate, root.certificate] }, /^the CA's name constraints forbid it: /],
  ];
  for (const [options, edit, message] of cases) {
    const planned = await plan(options, edit);
    assert.ok(!planned.ok && planned.error.kind === "Failed", JSON.stringify(planned));
    assert.equal(planned.error.reason, "SignerValidationFailure");
    assert.match(planned.error.message, message);
  }
});

for (
  const { name, options = {}, edit, want } of [
    {
      name: "leaves a request pending if the CA ends too soon",
      edit: { caNotAfter: new Date(NOW.getTime() + HOUR_MS) },
      want: "error",
    },
    {
      name: "leaves a request for a client pending while the API does not say which CAs it trusts",
      edit: { clientTrust: "unknown" },
      want: "error",
    },
    {
      name: "signs for a server although the API does not say which CAs it trusts",
      options: annotated({ [USAGES]: "server auth" }),
      edit: { clientTrust: "unknown" },
      want: "ok",
    },
    {
      name: "denies although the API does not say which CAs it trusts",
      options: { namespace: "other" },
      edit: { clientTrust: "unknown" },
      want: "Denied",
    },
  ] satisfies { name: string; options?: ShopRequestOptions; edit: Partial<PodPlanInput>; want: string }[]
) {
  test(`planPodCertificate() ${name}`, async () => {
    const planned = await plan(options, edit);
    assert.equal(planned.ok ? "ok" : planned.error.kind, want);
  });
}

for (
  const { name, seconds, text = POD_PROFILE, lifetime, refresh } of [
    { name: "the longest of the profile", seconds: 86_400, lifetime: 12 * HOUR_MS, refresh: 9 * HOUR_MS },
    { name: "as requested", seconds: 4 * 3_600, lifetime: 4 * HOUR_MS, refresh: HOUR_MS },
    { name: "too short for the refresh of the profile", seconds: 7_200, lifetime: 2 * HOUR_MS, refresh: 600_000 },
    {
      name: "refreshed after two thirds by default",
      seconds: 7_200,
      text: POD_PROFILE.replace(", refreshBefore: 3h", ""),
      lifetime: 2 * HOUR_MS,
      refresh: 4_800_000,
    },
    {
      name: "refreshed at the last moment",
      seconds: 7_200,
      text: POD_PROFILE.replace("refreshBefore: 3h", "refreshBefore: 1m"),
      lifetime: 2 * HOUR_MS,
      refresh: 2 * HOUR_MS - 600_000,
    },
  ]
) {
  test(`planPodCertificate() plans a lifetime: ${name}`, async () => {
    const planned = await plan({ spec: { maxExpirationSeconds: seconds } }, { spec: parseProfileOrThrow(text) });
    assert.ok(planned.ok);
    const { certificate: { notBefore, notAfter }, beginRefreshAt } = planned.value;
    assert.equal(notBefore.toISOString(), "2026-05-04T03:00:01.000Z");
    assert.equal(notAfter.getTime() - notBefore.getTime(), lifetime);
    assert.equal(beginRefreshAt.getTime() - notBefore.getTime(), refresh);
  });
}

test("planPodCertificate() does not split an annotation where only one value is possible", async () => {
  const spec = parseProfileOrThrow(`${
    POD_PROFILE.replace(
      / {2}commonName:.*\n/,
      `
  commonName: { allowed: ["*"], annotation: a/cn }
  serialNumber: { allowed: ["*"], annotation: a/sn }
  organizations: { allowed: ["*"], annotation: a/o }
`,
    )
  }`);
  const planned = await plan(annotated({ "a/cn": "x, y", "a/sn": "1, 2", "a/o": "x, y" }), { spec });
  assert.ok(planned.ok, JSON.stringify(planned));
  const { commonName, serialNumber, organizations } = planned.value.certificate.subject;
  assert.deepEqual([commonName, serialNumber, organizations], ["x, y", "1, 2", ["x", "y"]]);
});

test("findChainFault() limits a chain to what the API accepts", () => {
  assert.equal(findChainFault("x".repeat(MAX_POD_CHAIN_BYTES)), undefined);
  assert.equal(findChainFault("x".repeat(MAX_POD_CHAIN_BYTES + 1))?.kind, "Failed");
});

test("createIssuedStatus() has the times of the certificate", async () => {
  const planned = await plan();
  assert.ok(planned.ok);
  const leaf = parseCertificate(await issueCertificate(planned.value.certificate, await ca, Uint8Array.of(9)));
  assert.ok(leaf.ok);
  assert.deepEqual(createIssuedStatus(planned.value, "PEM", NOW), {
    conditions: [{
      type: "Issued",
      status: "True",
      lastTransitionTime: "2026-05-04T03:02:01Z",
      reason: "Issued",
      message: "The certificate was issued.",
    }],
    certificateChain: "PEM",
    notBefore: `${leaf.value.notBefore.toISOString().slice(0, 19)}Z`,
    beginRefreshAt: "2026-05-04T12:00:01Z",
    notAfter: `${leaf.value.notAfter.toISOString().slice(0, 19)}Z`,
  });
});

test("createRefusedStatus() cuts and escapes a long message", () => {
  const refusal = { kind: "Denied", reason: "NotAllowedByProfile", message: `\u001b[1m${"x".repeat(2_000)}` } as const;
  const [condition] = createRefusedStatus(refusal, NOW).conditions ?? [];
  assert.match(condition?.message ?? "", /^\\u001b\[1mx+… \(\d+ more characters\)$/);
});
