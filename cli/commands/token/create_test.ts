import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../../tests/support/issuing_ca.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import { createCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { readPublicKeyPin } from "./create.ts";

test("readPublicKeyPin() returns the same pin for a public key and for a request with this key", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  const want = publicKeyPin({ publicKeyDer: key.publicKeyDer() });
  const request = createCertificationRequest({ subject: { commonName: "system:node:n1" } }, key);
  assert.deepEqual(readPublicKeyPin(encodePem("PUBLIC KEY", key.publicKeyDer())), { ok: true, value: want });
  assert.deepEqual(readPublicKeyPin(encodePem("CERTIFICATE REQUEST", request)), { ok: true, value: want });
});

test("readPublicKeyPin() finds the key of a certificate", async () => {
  const { caPem } = await createIssuingCa(new Date("2026-01-01T00:00:00Z"));
  const bundle = parseCaBundle(caPem);
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  assert.deepEqual(readPublicKeyPin(caPem), { ok: true, value: publicKeyPin(bundle.value[0]) });
});

test("readPublicKeyPin() refuses a private key, other text and malformed keys", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  for (const text of [key.toPem(), "", "sha256:abc", encodePem("PUBLIC KEY", new Uint8Array([0x30, 0x03, 1, 2, 3]))]) {
    assert.equal(readPublicKeyPin(text).ok, false);
  }
});
