// Carries `pkg/controller/certificates/signer/signer_test.go`; certificates are read by node:crypto.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { parseCertificate, verifyCertificateSignature } from "../../core/pki/x509/certificate.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import { createCustomProfile } from "../../core/signing/custom_profile.ts";
import { buildCsr, condition, type CsrOptions, fromBase64 } from "../../tests/support/csr_builder.ts";
import { createFakeClock, until } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createIntermediateCa, createSigningCa } from "../../tests/support/signing_ca.ts";
import { type Outcome, runController } from "../engine/loop.ts";
import { createSigner, type SignerDeps } from "./signer.ts";

const NEVER = new AbortController().signal;
const SIGNERS = [
  "kubernetes.io/kubelet-serving",
  "kubernetes.io/kube-apiserver-client-kubelet",
  "kubernetes.io/kube-apiserver-client",
  "kubernetes.io/legacy-unknown",
];
const THREE = ["client auth", "digital signature", "key encipherment"];
const TWO = ["client auth", "digital signature"];
const approved = [condition("Approved", "2026-01-01T00:00:00Z")];
const sharedCa = createSigningCa();

interface Run {
  readonly outcome: Outcome;
  readonly store: MemoryObjectStore<CertificateSigningRequest>;
}

async function run(edit: CsrOptions, deps: Partial<SignerDeps> = {}): Promise<Run> {
  const store = createMemoryObjectStore({ objects: [await buildCsr({ conditions: approved, ...edit })] });
  const ca = await sharedCa;
  const { reconcile } = createSigner({
    store,
    authorities: () => Promise.resolve(ca),
    signerNames: SIGNERS,
    signingDurationSeconds: 3600,
    clock: createFakeClock("2026-03-04T05:06:07Z"),
    random: createSeededRandom(),
    logger: createMemoryLogger(),
    ...deps,
  });
  return { outcome: await reconcile("csr-1", store.peek("csr-1"), NEVER), store };
}

function parseCertificates(csr: CertificateSigningRequest): X509Certificate[] {
  const pem = fromBase64(csr.status.certificate ?? "");
  return parsePemBlocks(pem).map((block) => new X509Certificate(block.bytes));
}

const KUBELET = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const API_CLIENT = "kubernetes.io/kube-apiserver-client";
const node = { commonName: "system:node:hello-world" };
const server = { commonName: "system:node:testnode", dnsNames: ["example.com"] };

for (
  const { name, edit } of [
    { name: "kube-apiserver-client, three usages", edit: { signerName: API_CLIENT, commonName: "a", usages: THREE } },
    { name: "kube-apiserver-client, two usages", edit: { signerName: API_CLIENT, commonName: "a", usages: TWO } },
    { name: "kubelet client, three usages", edit: { signerName: KUBELET, ...node, usages: THREE } },
    { name: "kubelet client, two usages", edit: { signerName: KUBELET, ...node, usages: TWO } },
    { name: "legacy-unknown, no usages", edit: { signerName: "kubernetes.io/legacy-unknown", usages: [] } },
    {
      name: "kubelet serving, three usages",
      edit: { signerName: SERVING, ...server, usages: ["server auth", "digital signature", "key encipherment"] },
    },
    {
      name: "kubelet serving, two usages",
      edit: { signerName: SERVING, ...server, usages: ["server auth", "digital signature"] },
    },
  ]
) {
  test(`createSigner() signs: ${name}`, async () => {
    const { outcome, store } = await run(edit);
    assert.deepEqual(outcome, { kind: "done" });
    assert.deepEqual(store.calls, ["update csr-1/status"]);
    const csr = store.peek("csr-1");
    assert.deepEqual(csr.status.conditions, approved);
    const [leaf, ...more] = parseCertificates(csr);
    assert.ok(leaf !== undefined && more.length === 0);
    const issuer = new X509Certificate((await sharedCa).certificatePem);
    assert.ok(leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey));
  });
}

for (
  const { name, edit } of [
    { name: "not approved", edit: { conditions: [] } },
    { name: "denied as well", edit: { conditions: [...approved, condition("Denied")] } },
    { name: "failed", edit: { conditions: [...approved, condition("Failed")] } },
    { name: "another signer", edit: { signerName: "example.com/x" } },
    { name: "issued", edit: { certificate: "eA==" } },
  ]
) {
  test(`createSigner() ignores: ${name}`, async () => {
    const { outcome, store } = await run(edit);
    assert.deepEqual(outcome, { kind: "done" });
    assert.deepEqual(store.calls, []);
  });
}

test("createSigner() marks a request outside the profile as Failed, with one write", async () => {
  const { outcome, store } = await run({ signerName: API_CLIENT, usages: [...THREE, "server auth"] });
  assert.deepEqual(outcome, { kind: "done" });
  assert.deepEqual(store.calls, ["update csr-1/status"]);
  assert.deepEqual(store.peek("csr-1").status, {
    conditions: [...approved, {
      type: "Failed",
      status: "True",
      reason: "SignerValidationFailure",
      message: "invalid usage for client certificate: server auth",
      lastUpdateTime: "2026-03-04T05:06:07Z",
      lastTransitionTime: null,
    }],
  });
});

for (const name of ["kubernetes.io/not-recognised", "kubernetes.io/not-a-real-signer", "example.com/sample-name"]) {
  test(`createSigner() refuses to act for ${name}`, async () => {
    await assert.rejects(run({}, { signerNames: [name] }), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.message, `unrecognized signerName: "${name}"`);
      return true;
    });
  });
}

for (
  const { name, edit, deps, want } of [
    {
      name: "an unreadable request",
      edit: { request: "" },
      deps: {},
      want: 'unable to parse csr "csr-1": PEM block type must be CERTIFICATE REQUEST',
    },
    {
      name: "an unknown usage",
      edit: { signerName: "kubernetes.io/legacy-unknown", usages: ["a", "b"] },
      deps: {},
      want: 'error auto signing csr: unrecognized usage values: ["a" "b"]',
    },
    {
      name: "an expired CA",
      edit: {},
      deps: { clock: createFakeClock("2035-01-01T00:01:00Z") },
      want: "error auto signing csr: refusing to sign a certificate that expired in the past: " +
        "NotAfter=2035-01-01 00:00:00 +0000 UTC",
    },
    {
      name: "a signer without CA",
      edit: {},
      deps: { authorities: () => Promise.resolve(undefined) },
      want: `no CA for signer "${KUBELET}"`,
    },
  ]
) {
  test(`createSigner() retries, without a Failed condition: ${name}`, async () => {
    const { outcome, store } = await run(edit, deps);
    assert.ok(outcome.kind === "retry" && outcome.error instanceof Error);
    assert.equal(outcome.error.message, want);
    assert.deepEqual(store.calls, []);
  });
}

const web = createCustomProfile("example.com/web", {
  description: "",
  subject: {},
  names: { wildcards: false, atLeastOne: false },
  usages: { allowed: ["client auth", "server auth"], required: [], default: [] },
  lifetime: { maxMs: 7_200_000, defaultMs: 3_600_000, minMs: 600_000 },
  keys: [{ type: "ECDSA" }],
  extensions: { ocsp: [], caIssuers: [], crl: [], policies: [], raw: [] },
  chain: true,
});
const trustCases: readonly {
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly trusted: boolean | undefined;
  readonly want?: string;
}[] = [
  { signerName: "example.com/web", usages: ["server auth"], trusted: true },
  { signerName: "example.com/web", usages: ["client auth"], trusted: false },
  { signerName: "example.com/web", usages: ["client auth"], trusted: true, want: "the API trusts this CA for clients" },
  {
    signerName: "example.com/web",
    usages: ["client auth"],
    trusted: undefined,
    want: "it is unknown whether the API trusts this CA for clients",
  },
  { signerName: KUBELET, usages: TWO, trusted: true },
  // As upstream, it signs while the trust is unknown, and refuses only if the API is known to trust the CA.
  { signerName: "kubernetes.io/legacy-unknown", usages: ["client auth"], trusted: undefined },
  {
    signerName: "kubernetes.io/legacy-unknown",
    usages: ["client auth"],
    trusted: true,
    want: "the API trusts this CA for clients",
  },
];

for (const { signerName, usages, trusted, want } of trustCases) {
  const title = `${want === undefined ? "issues" : "refuses"} ${usages[0]} for ${signerName}, CA trusted: ${trusted}`;
  test(`createSigner() ${title}`, async () => {
    const subject = signerName === KUBELET ? node : { commonName: "", organizations: [] };
    const { outcome, store } = await run({ signerName, usages, ...subject }, {
      signerNames: [signerName],
      profiles: new Map([["example.com/web", { current: () => Promise.resolve(web) }]]),
      isTrustedForClients: () => Promise.resolve(trusted),
    });
    assert.deepEqual(outcome, { kind: "done" });
    const { conditions, certificate } = store.peek("csr-1").status;
    const message = conditions?.find(({ type }) => type === "Failed")?.message;
    assert.equal(message, want === undefined ? undefined : `client auth is not allowed: ${want}`);
    assert.equal(certificate === undefined, want !== undefined);
  });
}

for (
  const { name, signerName, chain, sends, want } of [
    {
      name: "Kubernetes' signer sends them when the CA is configured to",
      signerName: API_CLIENT,
      sends: true,
      want: ["lower"],
    },
    { name: "Kubernetes' signer sends none where it does not", signerName: API_CLIENT, sends: false, want: [] },
    { name: "a profile sends them anyway", signerName: "example.com/web", chain: true, sends: false, want: ["lower"] },
    { name: "a profile without chain sends none", signerName: "example.com/web", chain: false, sends: true, want: [] },
  ]
) {
  test(`createSigner() with intermediates: ${name}`, async () => {
    const lower = await createIntermediateCa(await sharedCa, "lower");
    const authority = { ...lower, intermediates: sends ? [lower.certificate] : [] };
    const profile = chain === undefined ? web : { ...web, chain };
    const usages = signerName === API_CLIENT ? TWO : ["server auth"];
    const { store } = await run({ signerName, usages, commonName: "", organizations: [] }, {
      signerNames: [signerName],
      profiles: new Map([["example.com/web", { current: () => Promise.resolve(profile) }]]),
      authorities: () => Promise.resolve(authority),
    });
    const [, ...behind] = parseCertificates(store.peek("csr-1"));
    assert.deepEqual(behind.map(({ subject }) => subject), want.map((one) => `CN=${one}`));
  });
}

for (
  const { name, edit, want } of [
    { name: "a certificate", edit: {}, want: "error updating signature for csr: cannot update" },
    { name: "a failure", edit: { usages: [] }, want: "error adding failure condition for csr: cannot update" },
  ]
) {
  test(`createSigner() reports a failed write: ${name}`, async () => {
    const store = createMemoryObjectStore({ objects: [await buildCsr({ conditions: approved, ...edit })] });
    store.failNext("update", new AppError("conflict", "cannot update"));
    await assert.rejects(run(edit, { store }), (error) => {
      // The loop recognizes a race by its code.
      assert.ok(error instanceof AppError && error.code === "conflict");
      assert.equal(error.message, want);
      return true;
    });
  });
}

for (const keyAlgorithm of ["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"] as const) {
  test(`createSigner() issues the same certificate as upstream, from a CA with ${keyAlgorithm}`, async () => {
    const ca = await createSigningCa({ keyAlgorithm });
    const { store } = await run({
      signerName: "kubernetes.io/legacy-unknown",
      commonName: "system:node:n1",
      organizations: ["org"],
      dnsNames: ["n1.example"],
      ipAddresses: ["10.0.0.1", "fd00::1"],
      usages: ["signing", "key encipherment", "server auth", "client auth"],
      expirationSeconds: 3 * 3600,
    }, { authorities: () => Promise.resolve(ca) });
    const [leaf] = parseCertificates(store.peek("csr-1"));
    assert.ok(leaf !== undefined);
    const issuer = new X509Certificate(ca.certificatePem);
    assert.ok(leaf.checkIssued(issuer));
    // Deno's node:crypto cannot verify certificates with P-521; core/pki checks that one below.
    if (keyAlgorithm !== "ecdsa-p521") assert.ok(leaf.verify(issuer.publicKey));
    assert.equal(leaf.subject, "O=org\nCN=system:node:n1");
    assert.equal(leaf.ca, false);
    assert.ok(leaf.checkHost("n1.example") && leaf.checkIP("10.0.0.1") && leaf.checkIP("fd00::1"));
    assert.equal(new Date(leaf.validFrom).toISOString(), "2026-03-04T05:01:07.000Z");
    assert.equal(new Date(leaf.validTo).toISOString(), "2026-03-04T06:06:07.000Z");
    const facts = parseCertificate(new Uint8Array(leaf.raw));
    assert.ok(facts.ok && verifyCertificateSignature(facts.value, ca.certificate));
    assert.deepEqual(facts.value.extendedKeyUsages, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    const { version, keyUsages, isCa, maxPathLength, subjectKeyId, authorityKeyId, signatureAlgorithm } = facts.value;
    assert.deepEqual({ version, keyUsages, isCa, maxPathLength, subjectKeyId, authorityKeyId, signatureAlgorithm }, {
      version: 3,
      keyUsages: ["digitalSignature", "keyEncipherment"],
      isCa: false,
      maxPathLength: undefined,
      subjectKeyId: undefined,
      authorityKeyId: ca.certificate.subjectKeyId,
      signatureAlgorithm: {
        "rsa-2048": "SHA256-RSA",
        "ecdsa-p256": "ECDSA-SHA256",
        "ecdsa-p384": "ECDSA-SHA384",
        "ecdsa-p521": "ECDSA-SHA512",
        ed25519: "Ed25519",
      }[keyAlgorithm],
    });
  });
}

test("createSigner() appends the intermediates of its CA to the leaf, and limits its lifetime to theirs", async () => {
  const root = await createSigningCa({ commonName: "root" });
  const upper = await createIntermediateCa(root, "upper", { notAfter: new Date("2026-03-04T05:30:00Z") });
  const lower = await createIntermediateCa(upper, "lower", { notAfter: root.certificate.notAfter });
  const edit = { signerName: KUBELET, ...node, usages: TWO };
  const { store } = await run(edit, { authorities: () => Promise.resolve(lower) });
  const chain = parseCertificates(store.peek("csr-1"));
  const subjects = chain.map(({ subject }) => subject);
  assert.deepEqual(subjects, ["O=system:nodes\nCN=system:node:hello-world", "CN=lower", "CN=upper"]);
  assert.equal(new Date(chain[0]?.validTo ?? "").toISOString(), "2026-03-04T05:30:00.000Z");
});

test("createSigner() signs in the loop after a conflict, and gives every certificate its own serial", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const names = ["a", "b", "c", "d", "e", "f"];
  const objects = await Promise.all(names.map((name) => buildCsr({ name })));
  const store = createMemoryObjectStore({ objects });
  const ca = await sharedCa;
  const random = createSeededRandom();
  const signer = createSigner({
    store,
    authorities: () => Promise.resolve(ca),
    signerNames: SIGNERS,
    signingDurationSeconds: 3600,
    clock,
    random,
    logger,
  });
  const abort = new AbortController();
  const running = runController({ name: "signer", store, ...signer, clock, random, logger }, abort.signal);
  await clock.advance(1_000);
  assert.deepEqual(store.calls, ["changes"]);
  store.failNext("update c/status", new AppError("conflict", "cannot update"));
  for (const name of names) store.put({ ...store.peek(name), status: { conditions: approved } });
  await until(() => store.calls.length >= 1 + names.length);
  await clock.advance(1_000);
  await until(() => names.every((name) => store.peek(name).status.certificate !== undefined));
  const serials = names.map((name) => parseCertificates(store.peek(name))[0]?.serialNumber);
  assert.equal(new Set(serials).size, names.length);
  assert.deepEqual(logger.messages("error"), []);
  abort.abort();
  await running;
});

test("createSigner() records a certificate before the request gets it, and writes nothing when it cannot", async () => {
  const recorded: string[] = [];
  const record: SignerDeps["record"] = (der, csr, authority) => {
    const certificate = parseCertificate(der);
    assert.ok(certificate.ok && csr.status.certificate === undefined);
    assert.ok(verifyCertificateSignature(certificate.value, authority.certificate));
    recorded.push(certificate.value.serialNumber);
    return Promise.resolve();
  };
  const request = { signerName: KUBELET, subject: { ...node, organizations: ["system:nodes"] }, usages: THREE };
  const { store } = await run(request, { record });
  const [leaf] = parseCertificates(store.peek("csr-1")!);
  assert.deepEqual(recorded, [leaf?.serialNumber.toLowerCase()]);

  const full = new AppError("io", "cannot record a certificate: no space left on device");
  await assert.rejects(run(request, { record: () => Promise.reject(full) }), full);
});
