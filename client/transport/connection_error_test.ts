import { strict as assert } from "node:assert";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { hasMlDsa, NO_ML_DSA } from "../../core/pki/keys/ml_dsa.ts";
import { getMlDsaRequest } from "../../tests/support/ml_dsa_vectors.ts";
import { createTestAuthority, issueTestCertificate, planTestLeaf } from "../../tests/support/test_authority.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import { findAlgorithmError, findHostFault, toConnectionError } from "./connection_error.ts";

test("toConnectionError() distinguishes a name outside the CA's constraints from an unknown CA", () => {
  const server = new URL("https://api.example.com:6443");
  for (const text of ["permitted subtree violation", "excluded subtree violation"]) {
    const error = toConnectionError(Object.assign(new Error(text), { code: "UNSPECIFIED" }), server, "api.example.com");
    assert.equal(error.code, "tls_untrusted");
    assert.equal(
      error.message,
      'cannot trust "https://api.example.com:6443": its serving certificate has a name for which its CA may not issue',
    );
    assert.match(error.hint ?? "", /tlsboot inspect/);
  }
});

for (
  const [code, text] of [
    ["INVALID_PURPOSE", "unsuitable certificate purpose"],
    ["PATH_LENGTH_EXCEEDED", "path length constraint exceeded"],
    ["UNSPECIFIED", "unhandled critical extension"],
    ["", "invalid peer certificate: Other(OtherError(PathLenConstraintViolated))"],
  ] as const
) {
  test(`toConnectionError() reports a broken rule as untrusted and not retryable: ${text}`, () => {
    const error = toConnectionError(
      Object.assign(new Error(text), { code }),
      new URL("https://a.example"),
      "a.example",
    );
    assert.deepEqual([error.code, error.retryable], ["tls_untrusted", false]);
    assert.equal(error.message, `cannot trust "https://a.example": its certificates break a rule: ${text}`);
  });
}

test("findAlgorithmError() names the algorithm of a CA that this runtime cannot verify", async () => {
  const now = new Date("2026-11-25T12:00:00Z");
  const authority = await createClientCa(now);
  const request = parseRequest(getMlDsaRequest());
  assert.ok(request.ok);
  const { publicKeyDer } = request.value;
  const peer = await verifiedPeer(authority, now, { commonName: "ca" }, { publicKeyDer, isCa: true });
  assert.ok(peer.kind === "verified");
  const pem = peer.chain.map((der) => encodePem("CERTIFICATE", der)).join("");
  const server = new URL("https://a.example");
  const refused = new AppError("tls_untrusted", "cannot trust it");
  const found = findAlgorithmError(refused, server, pem);
  const want = `cannot trust "https://a.example": its CA has a key of ML-DSA-44: ${NO_ML_DSA}`;
  assert.equal(found?.message, hasMlDsa() ? undefined : want);
  assert.equal(findAlgorithmError(refused, server, authority.certificatePem), undefined);
});

const MANY = { dnsNames: ["a.example", "*.b.example"], ipAddresses: ["10.0.0.1", "2001:db8::1"] };

for (
  const { host, names, want } of [
    { host: "a.example", names: MANY, want: undefined },
    { host: "A.Example.", names: MANY, want: undefined },
    { host: "x.b.example", names: MANY, want: undefined },
    { host: "10.0.0.1", names: MANY, want: undefined },
    { host: "[2001:DB8:0::1]", names: MANY, want: undefined },
    { host: "y.x.b.example", names: MANY, want: "valid for a.example, *.b.example, not y.x.b.example" },
    { host: "b.example", names: MANY, want: "not b.example" },
    { host: ".b.example", names: MANY, want: "not .b.example" },
    { host: "*.a.example", names: { dnsNames: ["*.a.*"] }, want: "valid for *.a.*, not *.a.example" },
    { host: "a.example", names: { dnsNames: ["a*.example"] }, want: "valid for a*.example, not a.example" },
    { host: "localhost", names: { dnsNames: ["*"] }, want: "valid for *, not localhost" },
    { host: "10.0.0.2", names: MANY, want: "valid for 10.0.0.1, 2001:db8::1, not 10.0.0.2" },
    { host: "10.0.0.1", names: { dnsNames: ["10.0.0.1"] }, want: "doesn't contain any IP SANs" },
    { host: "system:node:n1", names: {}, want: "relies on legacy Common Name field" },
    { host: "a.example", names: { ipAddresses: ["10.0.0.1"] }, want: "not valid for any names, but wanted to match" },
  ] as readonly { host: string; names: Partial<typeof MANY>; want: string | undefined }[]
) {
  test(`findHostFault() of ${JSON.stringify(names)} for ${host}: ${want ?? "none"}`, async () => {
    const root = await createTestAuthority();
    const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey, names));
    const fault = findHostFault(leaf, host);
    if (want === undefined) assert.equal(fault, undefined);
    else assert.ok(fault?.startsWith("x509: ") && fault.includes(want), fault);
  });
}
