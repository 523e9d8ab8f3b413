import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { encodeBase64 } from "../lib/encodings.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../pki/keys/keys.ts";
import { buildCsr, sharedKey } from "../../tests/support/csr_builder.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import fc, { anyText } from "../../tests/support/properties.ts";
import {
  type AdoptionOptions,
  checkAdoptable,
  createCsrName,
  createNodeCsrName,
  type CsrNameParts,
  type NodeCsrNameParts,
} from "./adoption.ts";

const NOW = new Date("2026-01-01T00:00:00Z");

async function toOptions(algorithm?: KeyAlgorithm): Promise<AdoptionOptions> {
  return { publicKeyDer: (await sharedKey(algorithm)).publicKeyDer(), now: NOW, isExact: false };
}

for (const algorithm of ["ecdsa-p256", "rsa-2048"] as const) {
  test(`checkAdoptable() accepts our own request: ${algorithm}`, async () => {
    const csr = await buildCsr({ keyAlgorithm: algorithm });
    assert.deepEqual(checkAdoptable(csr, csr, await toOptions(algorithm)), { ok: true, value: true });
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
  test(`checkAdoptable() compares the signers "${stored}" and "${own}"`, async () => {
    const csr = await buildCsr({ signerName: stored });
    const result = checkAdoptable(csr, await buildCsr({ signerName: own }), await toOptions());
    assert.equal(result.ok ? "ok" : result.error, want);
  });
}

test("checkAdoptable() refuses another subject", async () => {
  const stored = await buildCsr({ commonName: "system:node:n2" });
  const result = checkAdoptable(stored, await buildCsr(), await toOptions());
  assert.match(result.ok ? "" : result.error, /^csr subjects differ: new: .*n2.*, orig: .*n1/);
});

test("checkAdoptable() refuses a request of another key", async () => {
  const csr = await buildCsr();
  const other = await generatePrivateKey("ecdsa-p256");
  const result = checkAdoptable(csr, csr, { ...await toOptions(), publicKeyDer: other.publicKeyDer() });
  assert.match(result.ok ? "" : result.error, /^error validating signature new CSR against old key: /);
});

for (
  const { name, request, want } of [
    { name: "no request", request: null, want: /^unable to parse new csr: / },
    { name: "no PEM", request: encodeBase64("hello"), want: /^unable to parse new csr: PEM block type must be/ },
    { name: "no base64", request: "@@", want: /^unable to parse new csr: / },
  ]
) {
  test(`checkAdoptable() refuses a stored object with ${name}`, async () => {
    const result = checkAdoptable(await buildCsr({ request }), await buildCsr(), await toOptions());
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
    {
      name: "broken",
      notAfter: NOW,
      certificate: encodeBase64("x"),
      want: /^error parsing signed certificate for CSR: /,
    },
  ]
) {
  test(`checkAdoptable() checks an existing certificate: ${name}`, async () => {
    const ca = await createIssuingCa(NOW);
    const key = await sharedKey();
    const notBefore = new Date("2025-12-31T00:00:00Z");
    const pem = await ca.issue({ publicKeyDer: key.publicKeyDer(), notBefore, notAfter });
    const csr = await buildCsr({ certificate: certificate ?? encodeBase64(pem) });
    const result = checkAdoptable(csr, csr, await toOptions());
    assert.match(result.ok ? "" : result.error, want);
  });
}

for (
  const { name, edit, want } of [
    { name: "the same request", edit: {}, want: /^$/ },
    { name: "the usages in another order", edit: { usages: ["client auth", "digital signature"] }, want: /^$/ },
    {
      name: "other usages",
      edit: { usages: ["digital signature"] },
      want: /^csr usages differ: new: digital signature, /,
    },
    { name: "another lifetime", edit: { expirationSeconds: 3600 }, want: /^csr expirationSeconds differ$/ },
    { name: "another DNS name", edit: { dnsNames: ["b"] }, want: /^csr dnsNames differ: new: b, orig: $/ },
  ]
) {
  test(`checkAdoptable() compares an exact request with ${name}`, async () => {
    const usages = ["digital signature", "client auth"];
    const [stored, own] = [await buildCsr({ usages, ...edit }), await buildCsr({ usages })];
    const result = checkAdoptable(stored, own, { ...await toOptions(), isExact: true });
    assert.match(result.ok ? "" : result.error, want);
    assert.ok(checkAdoptable(stored, own, await toOptions()).ok, "client-go compares none of these");
  });
}

/** A test vector that was computed independently of this code, with Go's `crypto/sha512`. */
const VECTOR: NodeCsrNameParts = {
  publicKeyDer: Buffer.from(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200041d7fc4f9bb098a6fee8e3d4d07e02b713a432aeac12a36034d39effa48" +
      "3de042f286253ee39d9a3005a0739972fb52265b7f525a8dc722017fd9e88ff66dc426",
    "hex",
  ),
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  usages: ["digital signature", "client auth"],
};

test("createNodeCsrName() returns the published name", () => {
  assert.equal(createNodeCsrName(VECTOR), "node-csr-BVGytUJxQcXTz8iWC7wNqqHnVoMoa1BXbYoT2qQVsoE");
});

for (
  const { name, edit } of [
    { name: "key", edit: { publicKeyDer: Uint8Array.of(1) } },
    { name: "common name", edit: { commonName: "system:node:n2" } },
    { name: "organizations", edit: { organizations: ["system:nodes", "x"] } },
    { name: "order of usages", edit: { usages: ["client auth", "digital signature"] } },
  ] satisfies { name: string; edit: Partial<NodeCsrNameParts> }[]
) {
  test(`createNodeCsrName() depends on the ${name}`, () => {
    assert.notEqual(createNodeCsrName({ ...VECTOR, ...edit }), createNodeCsrName(VECTOR));
  });
}

const parts: CsrNameParts = {
  title: "web.example.com",
  signedDer: Uint8Array.of(1, 2, 3),
  signerName: "example.com/x",
  usages: ["digital signature", "server auth"],
};

test("createCsrName() is the same for the same request, and begins with its title", () => {
  assert.match(createCsrName(parts), /^web-example-com-[0-9a-f]{20}$/);
  assert.equal(createCsrName(parts), createCsrName({ ...parts }));
});

for (
  const [name, edit] of Object.entries<Partial<CsrNameParts>>({
    "another key, subject or name": { signedDer: Uint8Array.of(1, 2, 4) },
    "another signer": { signerName: "example.com/y" },
    "another usage": { usages: ["digital signature"] },
    "usages joined differently": { usages: ["digital signature,server auth"] },
    "a duration": { expirationSeconds: 3600 },
    "the renewal of a certificate": { replaces: "ab" },
  })
) {
  test(`createCsrName() differs for ${name}`, () => {
    assert.notEqual(createCsrName({ ...parts, ...edit }), createCsrName(parts));
  });
}

test("createCsrName() is a DNS label, whatever the title", () => {
  fc.assert(fc.property(anyText(), (title) => {
    assert.match(createCsrName({ ...parts, title }), /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])$/);
  }));
});
