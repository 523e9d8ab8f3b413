import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { concatBytes, decodeHex, encodeHex, encodeUint } from "../lib/encodings.ts";
import {
  ATTESTATION_TEMPLATE,
  encodePcrSelection,
  encodePublicArea,
  ENDORSEMENT_TEMPLATES,
  parsePublicArea,
  parseQuote,
  parseTpmKey,
  parseTpmSignature,
  readPcrSelections,
  readTpm,
  tpmBuffer,
} from "./tpm_structures.ts";

const POLICY = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
const ZEROS = "00".repeat(32);

for (
  const { name, area, hex } of [
    {
      name: "the RSA endorsement key",
      area: ENDORSEMENT_TEMPLATES[0]!.area,
      hex: `0001000b000300b20020${POLICY}00060080004300100800000000000100${ZEROS.repeat(8)}`,
    },
    {
      name: "the ECC endorsement key",
      area: ENDORSEMENT_TEMPLATES[1]!.area,
      hex: `0023000b000300b20020${POLICY}000600800043001000030010` + `0020${ZEROS}`.repeat(2),
    },
    {
      name: "the attestation key",
      area: ATTESTATION_TEMPLATE,
      hex: "0023000b0005047200000010" + "0018000b0003001000000000",
    },
  ]
) {
  test(`encodePublicArea() writes the template of ${name}, and parsePublicArea() reads it`, () => {
    const encoded = encodePublicArea(area);
    assert.equal(encodeHex(encoded), hex);
    assert.deepEqual(parsePublicArea(encoded), {
      ok: true,
      value: { symmetric: undefined, scheme: undefined, ...area },
    });
  });
}

test("parsePublicArea() refuses an area that is cut off, too long, or not supported", () => {
  const encoded = encodePublicArea(ATTESTATION_TEMPLATE);
  for (let length = 0; length < encoded.length; length++) {
    const parsed = parsePublicArea(encoded.subarray(0, length));
    assert.deepEqual(parsed, { ok: false, error: "it ends too early" }, `${length}`);
  }
  const [longer, other, scheme, kdf] = [
    concatBytes(encoded, Uint8Array.of(0)),
    encoded.with(1, 0x25),
    encoded.with(13, 0x1a),
    encoded.with(19, 0x20),
  ];
  assert.deepEqual(parsePublicArea(longer), { ok: false, error: "bytes follow it" });
  assert.deepEqual(parsePublicArea(other), { ok: false, error: "it is not an RSA or ECC key" });
  assert.deepEqual(parsePublicArea(scheme), { ok: false, error: "its scheme is not supported" });
  assert.deepEqual(parsePublicArea(kdf), { ok: false, error: "its key derivation is not supported" });
});

for (
  const { name, key, error } of [
    {
      name: "a modulus of another length",
      key: { kind: "rsa", bits: 2048, exponent: 3, modulus: new Uint8Array(128) },
      error: /^the modulus is not as long as the key$/,
    },
    {
      name: "a modulus of zeros",
      key: { kind: "rsa", bits: 2048, exponent: 3, modulus: new Uint8Array(256) },
      error: /^x509: RSA modulus is not a positive number$/,
    },
    {
      name: "another curve",
      key: { kind: "ecc", curve: 4, x: new Uint8Array(32), y: new Uint8Array(32) },
      error: /^the curve is not P-256$/,
    },
    {
      name: "a point that is too long",
      key: { kind: "ecc", curve: 3, x: new Uint8Array(33), y: new Uint8Array(32) },
      error: /^the point is too long$/,
    },
    {
      name: "a point that is not on the curve",
      key: { kind: "ecc", curve: 3, x: Uint8Array.of(1), y: Uint8Array.of(1) },
      error: /^P256 point not on curve$/,
    },
  ] as const
) {
  test(`parseTpmKey() refuses ${name}`, () => {
    const parsed = parseTpmKey({ ...ATTESTATION_TEMPLATE, key });
    assert.match(parsed.ok ? "" : parsed.error, error);
  });
}

test("parseTpmKey() pads the coordinates of a point", () => {
  // The point of P-256 whose x is 5.
  const y = decodeHex("459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc");
  const parsed = parseTpmKey({ ...ATTESTATION_TEMPLATE, key: { kind: "ecc", curve: 3, x: Uint8Array.of(5), y } });
  assert.equal(parsed.ok && encodeHex(parsed.value.keyBytes), `04${"00".repeat(31)}05${encodeHex(y)}`);
});

test("readPcrSelections() reads what encodePcrSelection() writes", () => {
  const encoded = encodePcrSelection([0, 7, 8, 23]);
  assert.equal(encodeHex(encoded), "00000001000b03810180");
  assert.deepEqual(readTpm(encoded, readPcrSelections), {
    ok: true,
    value: [{ hash: 0x000b, pcrs: [0, 7, 8, 23] }],
  });
});

test("readPcrSelections() refuses more banks and PCRs than any TPM has", () => {
  for (
    const bytes of [encodeUint(4, 17), concatBytes(encodeUint(4, 1), Uint8Array.of(0, 0x0b, 9), new Uint8Array(9))]
  ) {
    const read = readTpm(bytes, readPcrSelections);
    assert.match(read.ok ? "" : read.error, /^it selects too many/);
  }
});

const QUOTE = concatBytes(
  decodeHex("ff5443478018"),
  tpmBuffer(Uint8Array.of(9)),
  tpmBuffer(Uint8Array.of(1, 2)),
  new Uint8Array(25),
  encodePcrSelection([1]),
  tpmBuffer(Uint8Array.of(3)),
);

test("parseQuote() reads a quote", () => {
  assert.deepEqual(parseQuote(QUOTE), {
    ok: true,
    value: {
      qualifyingData: Uint8Array.of(1, 2),
      selections: [{ hash: 0x000b, pcrs: [1] }],
      pcrDigest: Uint8Array.of(3),
    },
  });
});

test("parseQuote() refuses another structure, and one that no TPM made", () => {
  assert.deepEqual(parseQuote(QUOTE.with(0, 0)), { ok: false, error: "it was not made by a TPM" });
  assert.deepEqual(parseQuote(QUOTE.with(5, 0x17)), { ok: false, error: "it is not a quote" });
  assert.deepEqual(parseQuote(QUOTE.subarray(0, -1)), { ok: false, error: "it ends too early" });
});

test("parseTpmSignature() returns an ECDSA signature in DER", () => {
  const bytes = concatBytes(decodeHex("0018000b"), tpmBuffer(Uint8Array.of(0x80)), tpmBuffer(Uint8Array.of(0, 1)));
  const parsed = parseTpmSignature(bytes);
  assert.equal(parsed.ok && encodeHex(parsed.value.signature), "300702020080020101");
});

test("parsers of TPM structures never throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    for (const parse of [parsePublicArea, parseQuote, parseTpmSignature]) parse(new Uint8Array(bytes));
  }));
});
