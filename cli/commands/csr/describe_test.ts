import assert from "node:assert/strict";
import { test } from "node:test";
import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { buildCsr, condition } from "../../../tests/support/csr_builder.ts";
import { encodeBase64 } from "../../../core/lib/encodings.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { createRequestView } from "../../../core/report/create_request_view.ts";
import { describeRequest } from "./describe.ts";

const APPROVED = "2026-03-02T10:30:00Z";

function describe(csr: CertificateSigningRequest, now: Date): string {
  return describeRequest(csr, createRequestView({ csr, now }), undefined, now);
}

for (
  const { name, conditions, seconds, want } of [
    { name: "a pending request", conditions: [], seconds: 60, want: undefined },
    {
      name: "a request that was approved a moment ago",
      conditions: [condition("Approved", APPROVED)],
      seconds: 9,
      want: undefined,
    },
    {
      name: "a request that was approved a minute ago",
      conditions: [condition("Approved", APPROVED)],
      seconds: 60,
      want:
        'approved for 60s, but no signer has issued it: make sure that a signer for "example.com/web" runs and has a CA',
    },
    {
      name: "a request that the signer refused",
      conditions: [condition("Approved", APPROVED), condition("Failed", APPROVED)],
      seconds: 60,
      want: undefined,
    },
    {
      name: "a denied request",
      conditions: [condition("Denied", APPROVED)],
      seconds: 60,
      want: undefined,
    },
  ]
) {
  test(`describeRequest() ${want === undefined ? "does not mention a signer for" : "reports a missing signer for"} ${name}`, async () => {
    const csr = await buildCsr({ signerName: "example.com/web", conditions });
    const now = new Date(Date.parse(APPROVED) + seconds * 1_000);
    const page = describe(csr, now);
    if (want === undefined) assert.match(page, /\nCertificate: +<none>\n$/);
    else assert.ok(page.includes(`\n  ${want}`), page);
  });
}

test("describeRequest() shows subject attributes that kubectl omits", async () => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: "CN=admin, CN=web, E=a@example",
    keys: await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]),
    signingAlgorithm: algorithm,
  });
  const csr = await buildCsr({ request: encodeBase64(request.toString("pem")) });
  const page = describe(csr, new Date(APPROVED));
  assert.match(page, /\n {2}Other subject attributes: +2\.5\.4\.3=admin, 1\.2\.840\.113549\.1\.9\.1=a@example\n/);
});
