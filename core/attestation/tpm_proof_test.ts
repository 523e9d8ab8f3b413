import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync } from "node:crypto";
import { before, describe, test } from "node:test";
import {
  alternativeNames,
  basicConstraints,
  encodeOddCertificate,
  extendedKeyUsage,
  extension,
  keyUsage,
  type OddCertificate,
} from "../../tests/support/odd_certificate.ts";
import { createSoftwareTpm, type SoftwareTpm } from "../../tests/support/software_tpm.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import type { Bytes } from "../pki/asn1/der.ts";
import { generatePrivateKey, type PrivateKey } from "../pki/keys/keys.ts";
import {
  ATTESTATION_TEMPLATE,
  computeTpmName,
  encodePublicArea,
  TPM_ALGORITHM,
  TPM_ATTRIBUTE,
  type TpmPublicArea,
} from "./tpm_structures.ts";
import {
  type AttestationKey,
  type EndorsementAuthority,
  makeCredential,
  parseEndorsementAuthority,
  type QuoteToVerify,
  readAttestationKey,
  readEndorsementKey,
  verifyEndorsement,
  verifyQuote,
} from "./tpm_proof.ts";
import { isAppError } from "../errors.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";

const { attributes } = ATTESTATION_TEMPLATE;
const RSASSA = { algorithm: TPM_ALGORITHM.rsassa, hash: TPM_ALGORITHM.sha256 };

function rsaKey(bits: number): Extract<TpmPublicArea["key"], { kind: "rsa" }> {
  const { n = "" } = generateKeyPairSync("rsa", { modulusLength: bits }).publicKey.export({ format: "jwk" });
  return { kind: "rsa", bits, exponent: 65_537, modulus: Uint8Array.from(Buffer.from(n, "base64url")) };
}

function eccKey(curve: "P-256" | "P-384"): TpmPublicArea["key"] {
  const { x = "", y = "" } = generateKeyPairSync("ec", { namedCurve: curve }).publicKey.export({ format: "jwk" });
  const decode = (text: string) => Uint8Array.from(Buffer.from(text, "base64url"));
  return { kind: "ecc", curve: curve === "P-256" ? 3 : 4, x: decode(x), y: decode(y) };
}

describe("readAttestationKey()", () => {
  const ecc = eccKey("P-256");

  for (
    const { name, edit, error } of [
      ...(["fixedTPM", "fixedParent", "sensitiveDataOrigin", "restricted", "sign"] as const).map((attribute) => ({
        name: `a key without ${attribute}`,
        edit: { attributes: attributes & ~TPM_ATTRIBUTE[attribute] },
        error: `the attestation key does not have the attribute ${attribute}`,
      })),
      {
        name: "a key that decrypts",
        edit: { attributes: attributes | TPM_ATTRIBUTE.decrypt },
        error: "the attestation key has the attribute decrypt",
      },
      ...[
        { name: "a key without a scheme", edit: { scheme: undefined } },
        { name: "a key that signs with SHA-1", edit: { scheme: { algorithm: TPM_ALGORITHM.ecdsa, hash: 4 } } },
        { name: "a key whose name has SHA-1", edit: { nameAlgorithm: 4 } },
      ].map((one) => ({
        ...one,
        error: "the attestation key does not use SHA-256 with RSASSA, RSAPSS or ECDSA",
      })),
      {
        name: "an ECC key with the scheme of RSA",
        edit: { scheme: RSASSA },
        error: "the attestation key has the scheme of another type",
      },
      {
        name: "a key of P-384",
        edit: { key: eccKey("P-384") },
        error: "the attestation key is malformed: the curve is not P-256",
      },
      {
        name: "an RSA key of 1024 bits",
        edit: { scheme: RSASSA, key: rsaKey(1024) },
        error: "the attestation key has 1024 bits: want 2048 to 4096",
      },
      {
        name: "an RSA key that is too large",
        edit: { scheme: RSASSA, key: { ...rsaKey(2048), bits: 4104, modulus: new Uint8Array(513).fill(255) } },
        error: "the attestation key has 4104 bits: want 2048 to 4096",
      },
      {
        name: "an RSA key with an impossible exponent",
        edit: { scheme: RSASSA, key: { ...rsaKey(2048), exponent: 0xffffffff } },
        error: "the attestation key cannot be used: crypto/rsa: public exponent too large",
      },
    ]
  ) {
    test(`refuses ${name}`, () => {
      const read = readAttestationKey(encodePublicArea({ ...ATTESTATION_TEMPLATE, key: ecc, ...edit }));
      assert.deepEqual(read, { ok: false, error });
    });
  }

  test("accepts keys of ECDSA, RSASSA and RSAPSS", () => {
    const rsa = rsaKey(2048);
    for (
      const { edit, want } of [
        { edit: { key: ecc }, want: "ECDSA-SHA256" },
        { edit: { key: rsa, scheme: RSASSA }, want: "SHA256-RSA" },
        { edit: { key: rsa, scheme: { ...RSASSA, algorithm: TPM_ALGORITHM.rsapss } }, want: "SHA256-RSAPSS" },
      ]
    ) {
      const read = readAttestationKey(encodePublicArea({ ...ATTESTATION_TEMPLATE, ...edit }));
      assert.equal(read.ok && read.value.algorithm.name, want);
    }
  });

  test("refuses bytes that are not a public area", () => {
    assert.deepEqual(readAttestationKey(new Uint8Array(3)), {
      ok: false,
      error: "the attestation key is malformed: it is not an RSA or ECC key",
    });
  });
});

describe("verifyQuote()", () => {
  const qualifyingData = createHash("sha256").update("message").digest();
  const pcrs = [7, 0, 4];
  let tpm: SoftwareTpm;
  let valid: QuoteToVerify;

  before(async () => {
    tpm = await createSoftwareTpm();
    valid = { attestationKey: readKey(tpm), qualifyingData, pcrs, ...await tpm.quote(qualifyingData, pcrs) };
  });

  function readKey({ evidence }: SoftwareTpm): AttestationKey {
    const key = readAttestationKey(evidence.attestationKey);
    assert.ok(key.ok);
    return key.value;
  }

  test("accepts a quote over the qualifying data and the PCRs, in any order", () => {
    assert.deepEqual(verifyQuote(valid), { ok: true, value: undefined });
    assert.deepEqual(verifyQuote({ ...valid, pcrs: [0, 4, 7, 7] }), { ok: true, value: undefined });
  });

  for (
    const { name, edit, error } of [
      {
        name: "a quote over other data",
        edit: () => ({ qualifyingData: qualifyingData.subarray(1) }),
        error: /^the quote answers another challenge$/,
      },
      {
        name: "a quote over fewer PCRs",
        edit: () => ({ pcrs: [0, 4, 7, 8] }),
        error: /^the quote does not have the PCRs of the challenge$/,
      },
      {
        name: "a quote over more PCRs",
        edit: () => ({ pcrs: [0, 4] }),
        error: /^the quote does not have the PCRs of the challenge$/,
      },
      {
        name: "values that were not quoted",
        edit: () => ({ pcrValues: new Map([...valid.pcrValues, [4, new Uint8Array(32)]]) }),
        error: /^the values of the PCRs do not match the quote$/,
      },
      {
        name: "values of other lengths",
        edit: () => ({
          pcrValues: new Map([[0, new Uint8Array(0)], [4, new Uint8Array(33)], [7, valid.pcrValues.get(7)!]]),
        }),
        error: /^the value of a PCR is missing or not a SHA-256 hash$/,
      },
      {
        name: "a quote that was changed",
        edit: () => ({ quote: valid.quote.with(60, valid.quote[60]! ^ 1) }),
        error: /^the quote is not signed by the attestation key: /,
      },
      {
        name: "the signature of another scheme",
        edit: () => ({ signature: valid.signature.with(3, 4) }),
        error: /^the signature of the quote does not use the scheme of the attestation key$/,
      },
      {
        name: "a signature that is cut off",
        edit: () => ({ signature: valid.signature.subarray(0, -1) }),
        error: /^the signature of the quote is malformed: it ends too early$/,
      },
      {
        name: "no quote",
        edit: () => ({ quote: new Uint8Array(6) }),
        error: /^the quote is malformed: it was not made by a TPM$/,
      },
      {
        name: "a quote by another key",
        edit: async () => ({ attestationKey: readKey(await createSoftwareTpm()) }),
        error: /^the quote is not signed by the attestation key: /,
      },
    ]
  ) {
    test(`refuses ${name}`, async () => {
      const verified = verifyQuote({ ...valid, ...await edit() });
      assert.match(verified.ok ? "" : verified.error, error);
    });
  }
});

describe("verifyEndorsement()", () => {
  const now = new Date("2026-12-02T00:00:00Z");
  const ENDORSEMENT = extendedKeyUsage("2.23.133.8.1");
  const CHIP = { ...alternativeNames("DIR:id:49424D00"), critical: true };
  let endorsementKey: Bytes;
  let ca: PrivateKey;
  let authority: EndorsementAuthority;

  before(async () => {
    endorsementKey = (await createSoftwareTpm()).evidence.endorsementKey;
    ca = await generatePrivateKey("ecdsa-p256");
    authority = { certificates: parseCas(makeCa()).certificates, nodeName: "commonName" };
  });

  function make(edit: Partial<OddCertificate> = {}): Bytes {
    return encodeOddCertificate({
      subject: "n1",
      issuer: "vtpm",
      key: { algorithm: "ECDSA", publicKeyDer: () => endorsementKey, sign: () => assert.fail() },
      signer: ca,
      notBefore: new Date("2026-12-01T00:00:00Z"),
      notAfter: new Date("2099-12-31T23:59:59Z"),
      serial: Uint8Array.of(1),
      version: 3,
      extensions: [ENDORSEMENT, CHIP],
      ...edit,
    });
  }

  function makeCa(edit: Partial<OddCertificate> = {}): string {
    const extensions = [basicConstraints(true), keyUsage(5)];
    return encodePem("CERTIFICATE", make({ subject: "vtpm", key: ca, extensions, ...edit }));
  }

  function parseCas(pem: string): EndorsementAuthority {
    const parsed = parseEndorsementAuthority(pem, "commonName");
    assert.ok(parsed.ok);
    return parsed.value;
  }

  test("returns the node that the certificate names, by its common name or by its DNS name", () => {
    assert.deepEqual(verifyEndorsement(make(), endorsementKey, [authority], now), { ok: true, value: "n1" });
    const named = make({ subject: "", extensions: [ENDORSEMENT, alternativeNames("DIR:chip", "DNS:n2.lan")] });
    const byDns = { ...authority, nodeName: "dnsName" } as const;
    assert.deepEqual(verifyEndorsement(named, endorsementKey, [byDns], now), { ok: true, value: "n2.lan" });
  });

  test("uses the rule of the authority that issued the certificate", async () => {
    const other = await generatePrivateKey("ecdsa-p256");
    const others = parseCas(makeCa({ key: other, signer: other }));
    const rules = [{ ...others, nodeName: "dnsName" } as const, authority];
    assert.deepEqual(verifyEndorsement(make(), endorsementKey, rules, now), { ok: true, value: "n1" });
  });

  for (
    const { name, certificate, rules, error } of [
      {
        name: "the certificate of another key",
        certificate: () => make({ key: ca }),
        error: /^the endorsement certificate is for another key$/,
      },
      {
        name: "a certificate for another purpose",
        certificate: () => make({ extensions: [extendedKeyUsage(2)] }),
        error: /^the certificate is not for an endorsement key$/,
      },
      {
        name: "a certificate without a purpose",
        certificate: () => make({ extensions: [CHIP] }),
        error: /^the certificate is not for an endorsement key$/,
      },
      {
        name: "the certificate of a CA",
        certificate: () => make({ extensions: [ENDORSEMENT, basicConstraints(true)] }),
        error: /^the certificate is not for an endorsement key$/,
      },
      {
        name: "an unknown critical extension",
        certificate: () => make({ extensions: [ENDORSEMENT, extension("1.2.3", undefined, true)] }),
        error: /^the endorsement certificate is not accepted: x509: unhandled critical extension$/,
      },
      {
        name: "a certificate that has expired",
        certificate: () => make({ notAfter: new Date("2026-12-01T12:00:00Z") }),
        error: /^the endorsement certificate is not accepted: x509: certificate has expired/,
      },
      {
        name: "a certificate of an unknown CA",
        certificate: () => make({ issuer: "other" }),
        error: /^the endorsement certificate is not accepted: x509: certificate signed by unknown authority$/,
      },
      {
        name: "a certificate where no authority is listed",
        certificate: () => make(),
        rules: () => [],
        error: /^the endorsement certificate is not accepted: no authority is listed$/,
      },
      {
        name: "a certificate without a name",
        certificate: () => make({ subject: "" }),
        error: /^commonName of the endorsement certificate: empty hostname is invalid$/,
      },
      {
        name: "a name that is not a node's",
        certificate: () => make({ subject: "n1,n2" }),
        error: /^commonName of the endorsement certificate: invalid node name "n1,n2"/,
      },
      {
        name: "a name in another notation",
        certificate: () => make({ subject: "N1" }),
        error: /^commonName of the endorsement certificate is "N1": want "n1"$/,
      },
      {
        name: "several DNS names",
        certificate: () => make({ extensions: [ENDORSEMENT, alternativeNames("DNS:a", "DNS:b")] }),
        rules: () => [{ ...authority, nodeName: "dnsName" } as const],
        error: /^the endorsement certificate has several values of dnsName$/,
      },
      {
        name: "bytes that are not a certificate",
        certificate: () => Uint8Array.of(1),
        error: /^the endorsement certificate is malformed: /,
      },
    ]
  ) {
    test(`refuses ${name}`, () => {
      const verified = verifyEndorsement(certificate(), endorsementKey, rules?.() ?? [authority], now);
      assert.match(verified.ok ? "" : verified.error, error);
    });
  }

  test("parseEndorsementAuthority() accepts CAs only", () => {
    const leaf = encodePem("CERTIFICATE", make());
    assert.deepEqual(parseEndorsementAuthority(makeCa() + leaf, "commonName"), {
      ok: false,
      error: "certificate 2 is not that of a CA",
    });
    assert.equal(parseEndorsementAuthority("", "commonName").ok, false);
  });
});

const random = createSeededRandom();
const SECRET = Uint8Array.from({ length: 32 }, (_, at) => at);

for (const endorsement of ["rsa", "ecc"] as const) {
  test(`makeCredential() makes a secret that only the TPM with the ${endorsement} key recovers, for one key`, async () => {
    const { evidence, activate } = await createSoftwareTpm({ endorsement });
    const name = computeTpmName(evidence.attestationKey);
    for (const secret of [SECRET, SECRET.subarray(0, 5), new Uint8Array(0)]) {
      const credential = await makeCredential(evidence.endorsementKey, name, secret, random);
      assert.deepEqual(await activate({ kind: "tpm", ...credential, pcrs: [] }), secret);
    }
    const forOther = await makeCredential(evidence.endorsementKey, name.with(5, name[5]! ^ 1), SECRET, random);
    await assert.rejects(activate({ kind: "tpm", ...forOther, pcrs: [] }), /TPM_RC_INTEGRITY/);
    const other = await createSoftwareTpm({ endorsement });
    const credential = await makeCredential(evidence.endorsementKey, name, SECRET, random);
    await assert.rejects(other.activate({ kind: "tpm", ...credential, pcrs: [] }));
  });
}

for (
  const { name, publicKey } of [
    { name: "RSA with 3072 bits", publicKey: generateKeyPairSync("rsa", { modulusLength: 3072 }).publicKey },
    { name: "P-384", publicKey: generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey },
    { name: "Ed25519", publicKey: generateKeyPairSync("ed25519").publicKey },
  ]
) {
  test(`readEndorsementKey() refuses ${name}`, () => {
    const spki = new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
    assert.deepEqual(readEndorsementKey(spki), {
      ok: false,
      error: "want an endorsement key of RSA with 2048 bits or ECC with P-256",
    });
  });
}

test("makeCredential() refuses bytes that are not a key", async () => {
  const made = makeCredential(Uint8Array.of(1), new Uint8Array(34), SECRET, random);
  await assert.rejects(made, (error) => isAppError(error, "invalid"));
});
