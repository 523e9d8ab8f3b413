import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { encodeOid, encodeSequence, encodeSetOf, encodeText, encodeValue } from "../asn1/der_writer.ts";
import { encodeName, formatName, parseName } from "./names.ts";

function rdn(...attributes: readonly [string, Uint8Array<ArrayBuffer>][]): Uint8Array<ArrayBuffer> {
  return encodeSetOf(attributes.map(([oid, value]) => encodeSequence(encodeOid(oid), value)));
}

const messy = encodeSequence(
  rdn(["2.5.4.3", encodeText("first")]),
  rdn(["2.5.4.10", encodeText("zz")], ["2.5.4.11", encodeText("unit")]),
  rdn(["2.5.4.10", encodeText("a-org")]),
  rdn(["1.3.6.1.4.1.57683.2", encodeText("uid-1")]),
  rdn(["2.5.4.3", encodeText("Jürgen")]),
  rdn(["2.5.4.6", encodeText("DE")]),
  rdn(["2.5.4.99", encodeValue(2, Uint8Array.of(5))]),
);

test("parseName() groups values by attribute, and keeps the last CN and the order of O", () => {
  const name = parseName(messy, "request");
  assert.equal(name.commonName, "Jürgen");
  assert.deepEqual(name.organizations, ["zz", "a-org"]);
  assert.deepEqual(name.organizationalUnits, ["unit"]);
  assert.deepEqual(name.countries, ["DE"]);
  assert.deepEqual(name.otherAttributes.map(({ oid, value }) => [oid, value]), [
    ["1.3.6.1.4.1.57683.2", "uid-1"],
    ["2.5.4.99", undefined],
  ]);
  assert.deepEqual(name.overridden, [{ oid: "2.5.4.3", value: "first" }]);
  assert.ok(Object.isFrozen(name) && Object.isFrozen(name.organizations));
});

test("encodeName() writes C, ST, L, STREET, POSTALCODE, O, OU, CN, SERIALNUMBER, sets sorted, the rest dropped", () => {
  assert.deepEqual(
    encodeName(parseName(messy, "request")),
    encodeSequence(
      rdn(["2.5.4.6", encodeText("DE")]),
      // The shorter value sorts first: DER compares the encodings.
      rdn(["2.5.4.10", encodeText("zz")], ["2.5.4.10", encodeText("a-org")]),
      rdn(["2.5.4.11", encodeText("unit")]),
      rdn(["2.5.4.3", encodeText("Jürgen")]),
    ),
  );
  const all = {
    countries: ["c"],
    organizations: ["o"],
    organizationalUnits: ["ou"],
    localities: ["l"],
    provinces: ["st"],
    streetAddresses: ["street"],
    postalCodes: ["code"],
    commonName: "cn",
    serialNumber: "sn",
  };
  assert.deepEqual(
    encodeName(all),
    encodeSequence(
      rdn(["2.5.4.6", encodeText("c")]),
      rdn(["2.5.4.8", encodeText("st")]),
      rdn(["2.5.4.7", encodeText("l")]),
      rdn(["2.5.4.9", encodeText("street")]),
      rdn(["2.5.4.17", encodeText("code")]),
      rdn(["2.5.4.10", encodeText("o")]),
      rdn(["2.5.4.11", encodeText("ou")]),
      rdn(["2.5.4.3", encodeText("cn")]),
      rdn(["2.5.4.5", encodeText("sn")]),
    ),
  );
});

test("parseName() reads the output of encodeName()", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
  fc.assert(fc.property(text, fc.uniqueArray(text, { maxLength: 4 }), (commonName, organizations) => {
    const name = parseName(encodeName({ commonName, organizations }), "certificate");
    assert.equal(name.commonName, commonName);
    assert.deepEqual([...name.organizations].sort(), [...organizations].sort());
  }));
});

for (
  const { name, want } of [
    {
      name: { commonName: "system:node:n1", organizations: ["system:nodes"] },
      want: "CN=system:node:n1,O=system:nodes",
    },
    { name: { commonName: "a,b=c+d" }, want: "CN=a\\,b=c\\+d" },
    { name: { commonName: " x\n" }, want: "CN=\\ x\\0a" },
    { name: {}, want: "" },
  ]
) test(`formatName() writes ${JSON.stringify(want)}`, () => assert.equal(formatName(name), want));

for (
  const { what, der, dialect, message } of [
    {
      what: "a bad PrintableString of a request",
      der: encodeSequence(rdn(["2.5.4.3", encodeValue(0x13, Uint8Array.of(0x40))])),
      dialect: "request",
      message: "asn1: syntax error: PrintableString contains invalid character",
    },
    {
      what: "bad UTF-8 in a request",
      der: encodeSequence(rdn(["2.5.4.3", encodeValue(0x0c, Uint8Array.of(0xff))])),
      dialect: "request",
      message: "asn1: invalid UTF-8 string",
    },
    {
      what: "bad UTF-8 in a certificate",
      der: encodeSequence(rdn(["2.5.4.3", encodeValue(0x0c, Uint8Array.of(0xff))])),
      dialect: "certificate",
      message: "x509: invalid RDNSequence: invalid attribute value: invalid UTF-8 string",
    },
    {
      what: "a value that is not a string in a certificate",
      der: encodeSequence(rdn(["2.5.4.3", encodeValue(2, Uint8Array.of(1))])),
      dialect: "certificate",
      message: "x509: invalid RDNSequence: invalid attribute value: unsupported string type: 2",
    },
    {
      what: "an INTEGER of more than 64 bits in a request",
      der: encodeSequence(rdn(["2.5.4.99", encodeValue(2, Uint8Array.of(0, 255, 255, 255, 255, 255, 255, 255, 255))])),
      dialect: "request",
      message: "asn1: structure error: integer too large",
    },
    {
      what: "a UTCTime with an impossible date in a request",
      der: encodeSequence(rdn(["2.5.4.99", encodeValue(0x17, new TextEncoder().encode("260230000000Z"))])),
      dialect: "request",
      message: "x509: malformed UTCTime",
    },
    {
      what: "a GeneralizedTime whose fraction ends in zero in a request",
      der: encodeSequence(rdn(["2.5.4.99", encodeValue(0x18, new TextEncoder().encode("20260101000000.50Z"))])),
      dialect: "request",
      message: "x509: malformed GeneralizedTime",
    },
    {
      what: "a malformed BOOLEAN in a request",
      der: encodeSequence(rdn(["2.5.4.99", encodeValue(1, Uint8Array.of(1))])),
      dialect: "request",
      message: "asn1: syntax error: invalid boolean",
    },
    {
      what: "a malformed BIT STRING in a request",
      der: encodeSequence(rdn(["2.5.4.99", encodeValue(3, Uint8Array.of(8, 0))])),
      dialect: "request",
      message: "asn1: syntax error: invalid padding bits in BIT STRING",
    },
    {
      what: "a malformed OID in a request",
      der: encodeSequence(rdn(["2.5.4.99", encodeValue(6, Uint8Array.of(0x80))])),
      dialect: "request",
      message: "asn1: syntax error: integer is not minimally encoded",
    },
    {
      what: "a padded INTEGER in a request",
      der: encodeSequence(rdn(["2.5.4.99", encodeValue(2, Uint8Array.of(0, 1))])),
      dialect: "request",
      message: "asn1: structure error: integer not minimally-encoded",
    },
    {
      what: "a sequence in place of a set in a certificate",
      der: encodeSequence(encodeSequence()),
      dialect: "certificate",
      message: "x509: invalid RDNSequence",
    },
    {
      what: "bytes after a name",
      der: Uint8Array.of(...encodeSequence(), 0),
      dialect: "request",
      message: "x509: trailing data after X.509 Subject",
    },
    {
      what: "a sequence in place of a set",
      der: encodeSequence(encodeSequence()),
      dialect: "request",
      message: "asn1: structure error: sequence tag mismatch",
    },
  ] as const
) test(`parseName() refuses ${what}`, () => assert.throws(() => parseName(der, dialect), { message }));

for (const bytes of [[127, 1, 1, 1, 1, 1, 1, 1], [128, 0, 0, 0, 0, 0, 0, 0], [0]]) {
  test(`parseName() accepts an INTEGER of ${bytes.length * 8} bits that begins with ${bytes[0]}`, () => {
    const der = encodeSequence(rdn(["2.5.4.99", encodeValue(2, Uint8Array.from(bytes))]));
    assert.deepEqual(parseName(der, "request").otherAttributes, [{ oid: "2.5.4.99", value: undefined }]);
  });
}

test("parseName() accepts a SEQUENCE as a value in a request", () => {
  const der = encodeSequence(rdn(["2.5.4.99", encodeSequence()]));
  assert.deepEqual(parseName(der, "request").otherAttributes, [{ oid: "2.5.4.99", value: undefined }]);
});

test("parseName() accepts a GeneralizedTime with a fraction of a second in a request", () => {
  const der = encodeSequence(rdn(["2.5.4.99", encodeValue(0x18, new TextEncoder().encode("20260101000000.5Z"))]));
  assert.deepEqual(parseName(der, "request").otherAttributes, [{ oid: "2.5.4.99", value: undefined }]);
});
