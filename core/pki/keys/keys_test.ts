import { strict as assert } from "node:assert";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";
import fc from "../../../tests/support/properties.ts";
import { createCaKey, generatePrivateKey, type KeyAlgorithm, parsePrivateKey, publicKeysEqual } from "./keys.ts";
import { Buffer } from "node:buffer";
import {
  findKeyAlgorithm,
  formatKey,
  getPrivateKeyAlgorithm,
  KEY_ALGORITHMS,
  ML_DSA_KEY_ALGORITHMS,
} from "./key_names.ts";
import { encodePem, parsePemBlocks } from "../asn1/pem.ts";
import { toResult } from "../asn1/der.ts";
import { parsePublicKey } from "./public_key.ts";

const cases: readonly {
  readonly algorithm: KeyAlgorithm;
  readonly label: string;
  readonly description: unknown;
  readonly hash: string | null;
}[] = [
  {
    algorithm: "ecdsa-p256",
    label: "EC PRIVATE KEY",
    description: { algorithm: "ECDSA", bits: 256, curve: "P-256" },
    hash: "sha256",
  },
  {
    algorithm: "ecdsa-p384",
    label: "EC PRIVATE KEY",
    description: { algorithm: "ECDSA", bits: 384, curve: "P-384" },
    hash: "sha384",
  },
  {
    algorithm: "ecdsa-p521",
    label: "EC PRIVATE KEY",
    description: { algorithm: "ECDSA", bits: 521, curve: "P-521" },
    hash: "sha512",
  },
  { algorithm: "rsa-2048", label: "RSA PRIVATE KEY", description: { algorithm: "RSA", bits: 2048 }, hash: "sha256" },
  { algorithm: "ed25519", label: "PRIVATE KEY", description: { algorithm: "Ed25519", bits: 256 }, hash: null },
];

for (const { algorithm, label, description, hash } of cases) {
  test(`generatePrivateKey() makes ${algorithm}, which survives PEM and signs`, async () => {
    const key = await generatePrivateKey(algorithm);
    const pem = key.toPem();
    assert.deepEqual(parsePemBlocks(pem).map((block) => block.label), [label]);
    const again = parsePrivateKey(pem);
    assert.ok(again.ok);
    assert.ok(publicKeysEqual(again.value.publicKeyDer(), key.publicKeyDer()));
    const { algorithm: type, bits, curve } = parsePublicKey(key.publicKeyDer());
    assert.deepEqual({ algorithm: type, bits, ...(curve && { curve }) }, description);
    const data = new TextEncoder().encode("data");
    const publicKey = { key: Buffer.from(key.publicKeyDer()), format: "der", type: "spki" } as const;
    assert.ok(verify(hash, data, publicKey, again.value.sign(data)));
  });

  test(`PrivateKey cannot be printed: ${algorithm}`, async () => {
    const key = await generatePrivateKey(algorithm);
    const secret = parsePemBlocks(key.toPem())[0]?.bytes ?? new Uint8Array(0);
    const shown = [inspect(key, { depth: 9, showHidden: true }), JSON.stringify({ key }), `${key}`].join("\n");
    assert.match(shown, /redacted/);
    assert.ok(!shown.includes(Buffer.from(secret).toString("base64").slice(8, 40)));
    assert.deepEqual(JSON.parse(JSON.stringify({ key })), { key: "[redacted]" });
  });
}

test("createCaKey() signs with the key's algorithm and refuses another family", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  const ca = createCaKey(key);
  assert.deepEqual(await ca.publicKey(), key.publicKeyDer());
  const data = new Uint8Array([1, 2, 3]);
  const publicKey = { key: Buffer.from(key.publicKeyDer()), format: "der", type: "spki" } as const;
  assert.ok(verify("sha384", data, publicKey, await ca.sign(data, "ECDSA-SHA384")));
  await assert.rejects(ca.sign(data, "SHA256-RSA"), { code: "key_invalid" });
});

function exportPem(type: "pkcs8" | "sec1", options: object = {}): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type, format: "pem", ...options }).toString();
}

test("parsePrivateKey() reads PKCS#8, P-224, and the key after other blocks", () => {
  assert.ok(parsePrivateKey(exportPem("pkcs8")).ok);
  assert.ok(parsePrivateKey(encodePem("EC PARAMETERS", new Uint8Array([5, 0])) + exportPem("sec1")).ok);
  assert.ok(parsePrivateKey(encodePem("CERTIFICATE", new Uint8Array([5, 0])) + exportPem("sec1")).ok);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp224r1" });
  const p224 = parsePrivateKey(privateKey.export({ type: "sec1", format: "pem" }).toString());
  assert.equal(p224.ok && p224.value.curve, "P-224");
});

for (
  const { name, pem, error } of [
    { name: "nothing", pem: "", error: /^no private key found in PEM data$/ },
    { name: "an empty block", pem: encodePem("PRIVATE KEY", new Uint8Array(0)), error: /^asn1: / },
    { name: "noise", pem: encodePem("EC PRIVATE KEY", new Uint8Array([5, 0])), error: /^malformed private key: / },
    {
      name: "encrypted PKCS#8",
      pem: encodePem("ENCRYPTED PRIVATE KEY", new Uint8Array(3)),
      error: /the private key is encrypted/,
    },
    {
      name: "RFC 1421 encryption",
      pem: "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n" +
        "-----END RSA PRIVATE KEY-----\n",
      error: /the private key is encrypted/,
    },
    { name: "DSA", pem: encodePem("DSA PRIVATE KEY", new Uint8Array(3)), error: /^unsupported private key type "DSA/ },
  ]
) {
  test(`parsePrivateKey() refuses ${name}`, () => {
    const result = parsePrivateKey(pem);
    assert.match(result.ok ? "accepted" : result.error, error);
  });
}

test("parsePrivateKey() refuses trailing bytes, and X25519", async () => {
  const [block] = parsePemBlocks((await generatePrivateKey("ecdsa-p256")).toPem());
  const result = parsePrivateKey(encodePem("EC PRIVATE KEY", Uint8Array.of(...block?.bytes ?? [], 0)));
  assert.deepEqual(result, { ok: false, error: "asn1: syntax error: trailing data" });
  const { privateKey } = generateKeyPairSync("x25519");
  const exchange = parsePrivateKey(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  assert.deepEqual(exchange, { ok: false, error: 'unsupported private key type "x25519"' });
});

test("parsePrivateKey() never throws, parsePublicKey() only DerError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom("EC ", "RSA ", ""), (bytes, kind) => {
    parsePrivateKey(encodePem(`${kind}PRIVATE KEY`, bytes));
    toResult(() => parsePublicKey(new Uint8Array(bytes)));
  }));
});

for (const algorithm of ["ecdsa-p256", "ecdsa-p384", "ed25519"] as const) {
  test(`parsePrivateKey() refuses a key of ${algorithm} with a changed byte, unless the result is a valid key`, async () => {
    const key = await generatePrivateKey(algorithm);
    const { label, bytes } = parsePemBlocks(key.toPem())[0]!;
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1 << (at % 8);
      const parsed = parsePrivateKey(encodePem(label, changed));
      if (!parsed.ok) {
        refused++;
        continue;
      }
      const data = new TextEncoder().encode("data");
      const publicKey = createPublicKey({ key: Buffer.from(parsed.value.publicKeyDer()), format: "der", type: "spki" });
      const hash = algorithm === "ed25519" ? null : "sha256";
      assert.ok(verify(hash, data, publicKey, parsed.value.sign(data, "sha256")), `byte ${at}`);
    }
    assert.ok(refused > 10, `${refused} refused`);
  });
}

test("the types of keys have the names of their algorithms", () => {
  const names = [...KEY_ALGORITHMS, ...ML_DSA_KEY_ALGORITHMS].map(getPrivateKeyAlgorithm);
  assert.equal(names.join(), "ECDSA,ECDSA,ECDSA,RSA,RSA,RSA,Ed25519,ML-DSA-44,ML-DSA-65,ML-DSA-87");
  assert.equal(findKeyAlgorithm({ algorithm: "Ed25519", bits: 256 }), "ed25519");
  assert.equal(findKeyAlgorithm({ algorithm: "RSA", bits: 1024 }), undefined);
});

for (
  const [keyAlgorithm, keyBits, want] of [
    ["ECDSA", 256, "ECDSA P-256"],
    ["RSA", 2048, "RSA 2048 bits"],
    ["Ed25519", 256, "Ed25519"],
    ["ML-DSA-65", 15_616, "ML-DSA-65"],
    ["unknown", 0, "unknown"],
  ] as const
) test(`formatKey() writes ${want}`, () => assert.equal(formatKey({ keyAlgorithm, keyBits }), want));
