import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { buildRequest, forgeRequest, fromBase64 } from "../../tests/support/csr_builder.ts";
import { buildRsaRequest } from "../../tests/support/crafted_rsa.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { parseRequest, parseVerifiedRequest, verifyRequestInBackground } from "./parse_request.ts";

const WRONG_TYPE = { ok: false, error: "PEM block type must be CERTIFICATE REQUEST" };

for (
  const { name, request } of [
    { name: "nothing", request: null },
    { name: "empty bytes", request: "" },
    { name: "bytes that are not PEM", request: encodeBase64("invalid data") },
    { name: "text that is not base64", request: "***" },
    {
      name: "another PEM type",
      request: encodeBase64("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    },
  ]
) {
  test(`parseRequest() refuses ${name}`, () => {
    assert.deepEqual(parseRequest(request), WRONG_TYPE);
  });
}

test("parseRequest() refuses NEW CERTIFICATE REQUEST, as kube-apiserver does", async () => {
  const pem = fromBase64(await buildRequest({ subject: { commonName: "a" } }));
  assert.deepEqual(parseRequest(encodeBase64(pem.replaceAll("CERTIFICATE", "NEW CERTIFICATE"))), WRONG_TYPE);
});

test("parseVerifiedRequest() reads the first block only and ignores the text around it", async () => {
  const first = fromBase64(await buildRequest({ subject: { commonName: "first" } }));
  const second = fromBase64(await buildRequest({ subject: { commonName: "second" } }));
  const request = parseVerifiedRequest(encodeBase64(`before é\n${first}between\n${second}after`));
  assert.ok(request.ok);
  assert.equal(request.value.subject.commonName, "first");
});

for (const algorithm of ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519"] as const) {
  test(`parseVerifiedRequest() verifies ${algorithm}`, async () => {
    const request = parseVerifiedRequest(await buildRequest({ subject: { organizations: ["o"] } }, algorithm));
    assert.ok(request.ok);
    assert.deepEqual(request.value.subject.organizations, ["o"]);
  });
}

const FORGED = { ok: false, error: "x509: ECDSA verification failure" };

test("parseVerifiedRequest() refuses a request that was changed after signing", async () => {
  const request = await forgeRequest("honest");
  assert.deepEqual(parseVerifiedRequest(request), FORGED);
  assert.ok(parseRequest(request).ok);
});

test("verifyRequestInBackground() finds what parseVerifiedRequest() finds", async () => {
  for (const algorithm of ["ecdsa-p256", "rsa-2048", "ed25519"] as const) {
    const request = await buildRequest({ subject: { commonName: "aside" } }, algorithm);
    await verifyRequestInBackground(request);
    assert.ok(parseVerifiedRequest(request).ok, algorithm);
  }
  const request = await forgeRequest("beside");
  await verifyRequestInBackground(request);
  assert.deepEqual(parseVerifiedRequest(request), FORGED);
  await verifyRequestInBackground(null);
  assert.deepEqual(parseVerifiedRequest(null), WRONG_TYPE);
});

test("verifyRequestInBackground() leaves a request that is too long for the cache to parseVerifiedRequest()", async () => {
  const request = await buildRequest({ subject: { commonName: "a".repeat(13_000) } });
  let isDone = false;
  const done = verifyRequestInBackground(request).then(() => isDone = true);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  assert.ok(isDone, "the result of the other thread is lost");
  await done;
  assert.ok(parseVerifiedRequest(request).ok);
});

test("parseVerifiedRequest() returns the same result every time, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const body = Buffer.from(bytes).toString("base64");
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`;
    const answer = parseVerifiedRequest(encodeBase64(pem));
    assert.equal(answer.ok, false);
    assert.deepEqual(parseVerifiedRequest(encodeBase64(pem)), answer);
  }));
});

test("parseRequest() accepts ten thousand names, and no more", async () => {
  const build = (count: number): Promise<string> =>
    buildRequest({
      subject: { commonName: "a" },
      dnsNames: Array.from({ length: count - 1 }, (_, index) => `n${index}.example`),
      uris: ["spiffe://example.org/a"],
    });
  assert.equal(parseRequest(await build(10_000)).ok, true);
  const error = "too many subject alternative names: 10001, limit is 10000";
  assert.deepEqual(parseRequest(await build(10_001)), { ok: false, error });
});

test("parseRequest() accepts 256 KiB, and no more", async () => {
  const build = (length: number): Promise<string> => buildRequest({ subject: { commonName: "a".repeat(length) } });
  assert.equal(parseRequest(await build(262_144 - 400)).ok, true);
  const { error = "" } = parseRequest(await build(262_144)) as { error?: string };
  assert.match(error, /^too large: 262\d{3} bytes of DER, limit is 262144$/);
});

/** The expected error of a key that Node verifies and Deno does not. */
const OF_LARGE = "Deno" in globalThis ? /^x509: cannot verify signature: Deno refuses this RSA key$/ : undefined;

for (
  const { bits, want } of [
    { bits: 7_680, want: OF_LARGE },
    { bits: 15_872, want: OF_LARGE },
    { bits: 16_896, want: /^crypto\/rsa: 16\d{3}-bit keys are too large: limit is 16384$/ },
  ]
) {
  test(`parseVerifiedRequest() ${want === undefined ? "verifies" : "refuses"} an RSA key of ${bits} bits`, () => {
    const request = parseVerifiedRequest(buildRsaRequest(bits));
    assert.match(request.ok ? "" : request.error, want ?? /^$/);
  });
}
