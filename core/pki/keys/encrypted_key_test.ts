// Here tlsboot reads what openssl wrote; in tests/interop, openssl reads what tlsboot writes.
import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createSeededRandom } from "../../../tests/support/seeded_random.ts";
import { unwrap } from "../../../tests/support/test_authority.ts";
import type { Bytes } from "../asn1/der.ts";
import { encodeNull, encodeOctetString, encodeOid, encodeSequence, encodeSmallInteger } from "../asn1/der_writer.ts";
import { decryptPrivateKey, detectKeyEncryption, encryptPrivateKey } from "./encrypted_key.ts";
import { generatePrivateKey, parsePrivateKey } from "./keys.ts";
import { encodePem, parsePemBlocks } from "../asn1/pem.ts";

const PASSPHRASE = "correct horse bättery";

for (const algorithm of ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519"] as const) {
  test(`encryptPrivateKey() encrypts a key that decryptPrivateKey() decrypts: ${algorithm}`, async () => {
    const key = await generatePrivateKey(algorithm);
    const pem = await encryptPrivateKey(key, PASSPHRASE, createSeededRandom(), 1_000);
    assert.equal(detectKeyEncryption(pem), "pkcs8");
    assert.deepEqual(parsePrivateKey(pem), { ok: false, error: "the private key is encrypted" });
    const plain = await decryptPrivateKey(pem, PASSPHRASE);
    assert.ok(plain.ok);
    assert.equal(unwrap(parsePrivateKey(plain.value)).toPem(), key.toPem());
    assert.deepEqual(await decryptPrivateKey(pem, PASSPHRASE + "x"), {
      ok: false,
      error: { kind: "wrong passphrase" },
    });
  });
}

test("encryptPrivateKey() uses 600,000 iterations", async () => {
  const pem = await encryptPrivateKey(await generatePrivateKey("ed25519"), PASSPHRASE, createSeededRandom());
  const [block = assert.fail()] = parsePemBlocks(pem);
  assert.ok(Buffer.from(block.bytes).includes(Buffer.from(encodeSmallInteger(600_000))));
  assert.ok((await decryptPrivateKey(pem, PASSPHRASE)).ok);
});

/** `openssl genpkey -algorithm ed25519` under `secret`, by the schemes that OpenSSL 3.0 has. */
const FOREIGN: Readonly<Record<string, string>> = {
  "PBKDF2 with HMAC-SHA256, AES-256": `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiB7T6kdd7+lgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEFd2wdW9k8ObNDRseXLoXy0EQOLP
sgRssw6KbCArFPLJvtMZuMdcFLKGJEdYbLR/hPxiAjaTtSOCRLHAiEDw8BO5T2lF
Gb7RWogq+1e2GYlBpgo=
-----END ENCRYPTED PRIVATE KEY-----
`,
  "PBKDF2 with HMAC-SHA1, AES-128": `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGNMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAh/GsVYFWCusgICCAAw
HQYJYIZIAWUDBAECBBCG2gV6ND66QJvhissNyjp1BEBQsPXmo2Nm3yzxKT5e77PX
vRks0jhiP/doIjN+XL75hSe1ZntjIOecc2eB97VsHELqHBT+vJjA5iydA2TPXAbZ
-----END ENCRYPTED PRIVATE KEY-----
`,
  "PBKDF2 with HMAC-SHA512, AES-256": `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhDadq9Ex38OAICCAAw
DAYIKoZIhvcNAgsFADAdBglghkgBZQMEASoEENhv/hHg4+tN3bdf53lRAokEQO0Y
1m+lZVFCvWQZTV9K6UG0sLccCsHcMbfQ6JMWJipZhCpVm/SxVfBSPOmxti/N7QuG
+sgZqAGOZ96OKJzvSrQ=
-----END ENCRYPTED PRIVATE KEY-----
`,
  "PBKDF2 with HMAC-SHA256, 3DES": `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGKME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAiwrcTiQ3Ll1gICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIL+DqzLLxys8EOGBCSgNHYvyHw0n6
fOxBWfBFJRQRk0sn6zGQzr/4/xx8SWqI2mxqnZ6QUTNysYyVkjY5KHkMEEBk
-----END ENCRYPTED PRIVATE KEY-----
`,
  "scrypt, AES-128": `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgsiojH6wUM+wICBAAC
AQgCAQEwHQYJYIZIAWUDBAECBBA4XZGuXltudGkymeJuYyddBECaZTbV/0MdU1ak
VQVJ+n7fER/Mrmsc4DOXaOX5WNrtX8PuOkrsg599L7cz3gU27JaTs1vM1e9LIFdA
M9X2RrEG
-----END ENCRYPTED PRIVATE KEY-----
`,
};

for (const [name, pem] of Object.entries(FOREIGN)) {
  test(`decryptPrivateKey() reads the output of openssl: ${name}`, async () => {
    const plain = await decryptPrivateKey(pem, "secret");
    assert.ok(plain.ok, JSON.stringify(plain));
    assert.equal(unwrap(parsePrivateKey(plain.value)).algorithm, "Ed25519");
    for (let round = 0; round < 4; round++) {
      const wrong = await decryptPrivateKey(pem, `wrong${round}`);
      assert.deepEqual(wrong, { ok: false, error: { kind: "wrong passphrase" } });
    }
  });
}

const PBKDF2 = encodeOid("1.2.840.113549.1.5.12");
const SCRYPT = encodeOid("1.3.6.1.4.1.11591.4.11");

/** Encrypts nothing, but encodes the parameters of PBES2 (RFC 8018 §A.4) with PBKDF2 and AES-128, and one change. */
function encodeEncrypted(
  { scheme = encodeOid("1.2.840.113549.1.5.13"), kdf = PBKDF2, parameters = [2_048], ivBytes = 16, more = [] }: {
    readonly scheme?: Bytes;
    readonly kdf?: Bytes;
    readonly parameters?: readonly (number | Bytes)[];
    readonly ivBytes?: number;
    /** Bytes that follow the end of the file. */
    readonly more?: readonly number[];
  },
): string {
  const numbers = parameters.map((part) => typeof part === "number" ? encodeSmallInteger(part) : part);
  const derivation = encodeSequence(kdf, encodeSequence(encodeOctetString(new Uint8Array(8)), ...numbers));
  const cipher = encodeSequence(
    encodeOid("2.16.840.1.101.3.4.1.2"),
    encodeOctetString(new Uint8Array(ivBytes)),
  );
  const algorithm = encodeSequence(scheme, encodeSequence(derivation, cipher));
  const der = encodeSequence(algorithm, encodeOctetString(new Uint8Array(48)));
  return encodePem("ENCRYPTED PRIVATE KEY", new Uint8Array([...der, ...more]));
}

for (
  const { what, pem, want } of [
    { what: "a key that is not damaged", pem: encodeEncrypted({}), want: "wrong passphrase" },
    { what: "a length of the key", pem: encodeEncrypted({ parameters: [2_048, 16] }), want: "wrong passphrase" },
    {
      what: "a length of the key and HMAC-SHA256",
      pem: encodeEncrypted({
        parameters: [2_048, 16, encodeSequence(encodeOid("1.2.840.113549.2.9"), encodeNull())],
      }),
      want: "wrong passphrase",
    },
    { what: "scrypt", pem: encodeEncrypted({ kdf: SCRYPT, parameters: [2, 8, 1] }), want: "wrong passphrase" },
    {
      what: "a byte after the end",
      pem: encodeEncrypted({ more: [0] }),
      want: "malformed encrypted private key: asn1: syntax error: trailing data",
    },
    {
      what: "PBES1",
      pem: encodeEncrypted({ scheme: encodeOid("1.2.840.113549.1.5.3") }),
      want: "the private key is encrypted by 1.2.840.113549.1.5.3, which is not supported",
    },
    {
      what: "an unknown key derivation function",
      pem: encodeEncrypted({ kdf: encodeOid("1.2.3") }),
      want: "the private key is encrypted by 1.2.3, which is not supported",
    },
    {
      what: "an unknown hash",
      pem: encodeEncrypted({ parameters: [2_048, encodeSequence(encodeOid("1.2.3"))] }),
      want: "the private key is encrypted by 1.2.3, which is not supported",
    },
    {
      what: "a short IV",
      pem: encodeEncrypted({ ivBytes: 8 }),
      want: "malformed encrypted private key: wrong length of the IV",
    },
    {
      what: "too many iterations",
      pem: encodeEncrypted({ parameters: [20_000_001] }),
      want: "the private key requires 20000001 iterations, which are too many",
    },
    {
      what: "no iteration",
      pem: encodeEncrypted({ parameters: [0] }),
      want: "malformed encrypted private key: a count is not positive",
    },
    ...[[1, 8, 1], [3, 8, 1], [2 ** 20, 8, 1]].map((parameters) => ({
      what: `scrypt with N=${parameters[0]}`,
      pem: encodeEncrypted({ kdf: SCRYPT, parameters }),
      want: "the private key requires scrypt parameters that are not supported",
    })),
  ]
) {
  test(`decryptPrivateKey() reports "${want}" for ${what}`, async () => {
    const read = await decryptPrivateKey(pem, "secret");
    const fault = read.ok ? "none" : read.error.kind === "unreadable" ? read.error.message : read.error.kind;
    assert.equal(fault, want);
  });
}

test("detectKeyEncryption() and parsePrivateKey() read a key that is signed, not encrypted (RFC 1421 §4.6.1.1)", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  const pem = key.toPem().replace("-----\n", "-----\nProc-Type: 4,MIC-CLEAR\n\n");
  assert.equal(detectKeyEncryption(pem), "none");
  assert.equal(unwrap(parsePrivateKey(pem)).toPem(), key.toPem());
});

test("decryptPrivateKey() reports unsupported schemes, and never throws for a damaged file", async () => {
  assert.equal(detectKeyEncryption("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), "none");
  const old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMAA=\n" +
    "-----END RSA PRIVATE KEY-----\n";
  assert.equal(detectKeyEncryption(old), "old");
  const oldKey = parsePrivateKey(old);
  assert.match(oldKey.ok ? "" : oldKey.error, /openssl pkcs8 -topk8/);
  assert.deepEqual(await decryptPrivateKey("", "x"), {
    ok: false,
    error: { kind: "unreadable", message: "no encrypted private key found in PEM data" },
  });
  const [block] = parsePemBlocks(FOREIGN["scrypt, AES-128"] ?? "");
  assert.ok(block !== undefined);
  for (let at = 0; at < block.bytes.length; at += 3) {
    const damaged = block.bytes.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x11;
    const read = await decryptPrivateKey(encodePem(block.label, damaged), "secret");
    if (read.ok) continue;
    assert.ok(read.error.kind === "wrong passphrase" || read.error.message.length > 0);
  }
});
