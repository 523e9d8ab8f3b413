import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../pki/keys.ts";
import { buildCsr, fromBase64, sharedKey, toBase64 } from "../../tests/support/csr_builder.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { checkCompatible, type ExpectedRequest } from "./adoption.ts";

const NOW = new Date("2026-01-01T00:00:00Z");

async function createExpected(csr: CertificateSigningRequest, algorithm?: KeyAlgorithm): Promise<ExpectedRequest> {
  const key = await sharedKey(algorithm);
  return {
    requestPem: fromBase64(csr.spec.request ?? ""),
    signerName: csr.spec.signerName,
    publicKeyDer: key.publicKeyDer(),
  };
}

for (const algorithm of ["ecdsa-p256", "rsa-2048"] as const) {
  test(`checkCompatible() accepts our own request: ${algorithm}`, async () => {
    const csr = await buildCsr({ keyAlgorithm: algorithm });
    assert.deepEqual(checkCompatible(csr, await createExpected(csr, algorithm), NOW), { ok: true, value: true });
  });
}

// Conformance Q: signer names.
for (
  const { stored, own, want } of [
    { stored: "", own: "example.com/test", want: "ok" },
    { stored: "example.com/test", own: "", want: "ok" },
    { stored: "example.com/test", own: "example.com/test", want: "ok" },
    {
      stored: "example.com/test",
      own: "example.com/not-test",
      want: 'csr signerNames differ: new "example.com/test", orig: "example.com/not-test"',
    },
  ]
) {
  test(`checkCompatible() compares the signers "${stored}" and "${own}"`, async () => {
    const csr = await buildCsr({ signerName: stored });
    const result = checkCompatible(csr, { ...await createExpected(csr), signerName: own }, NOW);
    assert.equal(result.ok ? "ok" : result.error, want);
  });
}

test("checkCompatible() refuses another subject", async () => {
  const stored = await buildCsr({ commonName: "system:node:n2" });
  const result = checkCompatible(stored, await createExpected(await buildCsr()), NOW);
  assert.match(result.ok ? "" : result.error, /^csr subjects differ: new: .*n2.*, orig: .*n1/);
});

test("checkCompatible() refuses a request of another key", async () => {
  const csr = await buildCsr();
  const other = await generatePrivateKey("ecdsa-p256");
  const result = checkCompatible(csr, { ...await createExpected(csr), publicKeyDer: other.publicKeyDer() }, NOW);
  assert.match(result.ok ? "" : result.error, /^error validating signature new CSR against old key: /);
});

for (
  const { name, request, want } of [
    { name: "no request", request: null, want: /^unable to parse new csr: / },
    { name: "no PEM", request: toBase64("hello"), want: /^unable to parse new csr: PEM block type must be/ },
    { name: "no base64", request: "@@", want: /^unable to parse new csr: / },
  ]
) {
  test(`checkCompatible() refuses a stored object with ${name}`, async () => {
    const own = await createExpected(await buildCsr());
    const result = checkCompatible(await buildCsr({ request }), own, NOW);
    assert.match(result.ok ? "" : result.error, want);
  });
}

for (
  const { name, notAfter, certificate, want } of [
    { name: "alive", notAfter: new Date("2026-01-02T00:00:00Z"), certificate: undefined, want: /^$/ },
    {
      name: "expired",
      notAfter: new Date("2025-12-31T23:00:00Z"),
      certificate: undefined,
      want: /^one of the certificates for the CSR has expired: 2025-12-31T23:00:00/,
    },
    { name: "broken", notAfter: NOW, certificate: toBase64("x"), want: /^error parsing signed certificate for CSR: / },
  ]
) {
  test(`checkCompatible() checks an existing certificate: ${name}`, async () => {
    const ca = await createIssuingCa(NOW);
    const key = await sharedKey();
    const notBefore = new Date("2025-12-31T00:00:00Z");
    const pem = await ca.issue({ publicKeyDer: key.publicKeyDer(), notBefore, notAfter });
    const csr = await buildCsr({ certificate: certificate ?? toBase64(pem) });
    const result = checkCompatible(csr, await createExpected(csr), NOW);
    assert.match(result.ok ? "" : result.error, want);
  });
}
