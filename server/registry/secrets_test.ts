import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { getMlDsaRequest, ML_DSA_VECTORS } from "../../tests/support/ml_dsa_vectors.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { decodeBase64 } from "../../core/lib/encodings.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { hasMlDsa } from "../../core/pki/keys/ml_dsa.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { findTlsPairFault } from "./secrets.ts";

const created = createPair();

/** Creates three keys, and a certificate for the first one. */
async function createPair() {
  const [own, other, edwards] = await Promise.all([
    generatePrivateKey("ecdsa-p256"),
    generatePrivateKey("ecdsa-p256"),
    generatePrivateKey("ed25519"),
  ]);
  const ca = await createIssuingCa(new Date("2026-01-01T00:00:00Z"));
  const certificate = await ca.issue({ publicKeyDer: own.publicKeyDer() });
  return { certificate, own: own.toPem(), other: other.toPem(), anotherKind: edwards.toPem() };
}

const OTHER_BLOCK = "-----BEGIN OTHER-----\nAA==\n-----END OTHER-----\n";

for (
  const { name, pair, want } of [
    { name: "that matches", pair: (made) => [made.certificate, made.own], want: undefined },
    {
      name: "with more blocks",
      pair: (made) => [OTHER_BLOCK + made.certificate, OTHER_BLOCK + made.own],
      want: undefined,
    },
    {
      name: "without a certificate",
      pair: (made) => ["", made.own],
      want: "tls: failed to find any PEM data in certificate input",
    },
    {
      name: "that is switched",
      pair: (made) => [made.own, made.certificate],
      want:
        "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may " +
        "have been switched",
    },
    {
      name: "whose certificate has another label",
      pair: (made) => [OTHER_BLOCK + OTHER_BLOCK, made.own],
      want:
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following ' +
        "types: [OTHER OTHER]",
    },
    {
      name: "without a key",
      pair: (made) => [made.certificate, "x"],
      want: "tls: failed to find any PEM data in key input",
    },
    {
      name: "of two certificates",
      pair: (made) => [made.certificate, made.certificate],
      want: "tls: found a certificate rather than a key in the PEM for the private key",
    },
    {
      name: "whose key has another label",
      pair: (made) => [made.certificate, OTHER_BLOCK],
      want:
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of ' +
        "the following types: [OTHER]",
    },
    {
      name: "of another key",
      pair: (made) => [made.certificate, made.other],
      want: "tls: private key does not match public key",
    },
    {
      name: "of another kind of key",
      pair: (made) => [made.certificate, made.anotherKind],
      want: "tls: private key type does not match public key type",
    },
    {
      name: "whose key cannot be read",
      pair: (made) => [made.certificate, "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"],
      want: "tls: failed to parse private key",
    },
  ] as {
    name: string;
    pair: (made: Awaited<ReturnType<typeof createPair>>) => [string, string];
    want: string | undefined;
  }[]
) {
  test(`findTlsPairFault() checks a pair ${name}`, async () => {
    const [certificate, privateKey] = pair(await created);
    assert.equal(findTlsPairFault(certificate, privateKey), want);
  });
}

for (const allowMlDsa of [false, true]) {
  test(`findTlsPairFault() checks a pair of ML-DSA, allowMlDsa: ${allowMlDsa}`, async () => {
    const request = parseRequest(getMlDsaRequest());
    assert.ok(request.ok);
    const ca = await createIssuingCa(new Date("2026-01-01T00:00:00Z"));
    const certificate = await ca.issue({ publicKeyDer: request.value.publicKeyDer });
    const key = encodePem("PRIVATE KEY", decodeBase64(ML_DSA_VECTORS[0]?.privateKey ?? "") ?? new Uint8Array(0));
    const want = allowMlDsa && hasMlDsa() ? undefined : "tls: failed to parse private key";
    assert.equal(findTlsPairFault(certificate, key, { allowMlDsa }), want);
  });
}
