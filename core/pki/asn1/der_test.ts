import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import {
  type Bytes,
  checkInt64,
  decodeBitString,
  decodeBoolean,
  decodeOid,
  decodeSignature,
  decodeSmallInteger,
  decodeUnsigned,
  DerError,
  DerReader,
  equalBytes,
  TAG,
  toResult,
  withText,
} from "./der.ts";
import { decodeText, decodeTime } from "./der_text.ts";
import {
  encodeBitString,
  encodeOctetString,
  encodeOid,
  encodeSmallInteger,
  encodeText,
  encodeTime,
  encodeUnsigned,
} from "./der_writer.ts";

function fromHex(hex: string): Bytes {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

for (
  const { name, hex, message } of [
    { name: "nothing", hex: "", message: "asn1: syntax error: sequence truncated" },
    { name: "only a tag", hex: "30", message: "asn1: syntax error: truncated tag or length" },
    { name: "an indefinite length", hex: "30800000", message: "asn1: syntax error: indefinite length found (not DER)" },
    { name: "a long length that is short", hex: "30817f", message: "asn1: structure error: non-minimal length" },
    {
      name: "zeros before a length",
      hex: "30820080",
      message: "asn1: structure error: superfluous leading zeros in length",
    },
    { name: "a gigantic length", hex: "3084ffffffff", message: "asn1: structure error: length too large" },
    { name: "a length of 32 bits", hex: "308480000000", message: "asn1: structure error: length too large" },
    { name: "a cut length", hex: "3082ff", message: "asn1: syntax error: truncated tag or length" },
    { name: "cut content", hex: "30050101", message: "asn1: syntax error: data truncated" },
    { name: "a padded high tag", hex: "1f801f00", message: "asn1: syntax error: integer is not minimally encoded" },
    { name: "a gigantic tag", hex: "1f818181818101", message: "asn1: structure error: base 128 integer too large" },
    { name: "a cut high tag", hex: "1f81", message: "asn1: syntax error: truncated base 128 integer" },
    { name: "a high tag that is low", hex: "1f1e00", message: "asn1: syntax error: non-minimal tag" },
  ]
) {
  test(`DerReader refuses ${name}`, () => assert.throws(() => new DerReader(fromHex(hex)).readAny(), { message }));
}

test("DerReader refuses a gigantic tag after another value", () => {
  const reader = new DerReader(fromHex("05001f818181818101"), 2);
  assert.throws(() => reader.readAny(), { message: "asn1: structure error: base 128 integer too large" });
});

test("DerReader reads high tags, and lengths of 128 and more", () => {
  assert.equal(new DerReader(fromHex("1f1f0105")).readAny().content.length, 1);
  assert.equal(toHex(new DerReader(fromHex("1f8180010105")).readAny().content), "05");
  assert.equal(new DerReader(fromHex(`308180${"00".repeat(128)}`)).readAny().content.length, 128);
});

test("DerReader.read() describes a wrong tag as Go does", () => {
  assert.throws(() => new DerReader(fromHex("0403010203")).read(TAG.sequence, "certificateRequest"), {
    message: "asn1: structure error: tags don't match (16 vs {class:0 tag:4 length:3 isCompound:false}) " +
      "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 " +
      "timeType:0 set:false omitEmpty:false} certificateRequest @2",
  });
});

test("DerReader.expectEnd() refuses trailing data", () => {
  const reader = new DerReader(fromHex("050000"));
  reader.readAny();
  assert.throws(() => reader.expectEnd(), { message: "asn1: syntax error: trailing data" });
});

for (
  const { what, decode, hex } of [
    { what: "decodeBoolean() refuses 0x01", decode: decodeBoolean, hex: "01" },
    { what: "decodeSmallInteger() refuses a padded integer", decode: decodeSmallInteger, hex: "0001" },
    { what: "decodeSmallInteger() refuses a padded negative integer", decode: decodeSmallInteger, hex: "ff80" },
    { what: "decodeSmallInteger() refuses an empty integer", decode: decodeSmallInteger, hex: "" },
    { what: "decodeSmallInteger() refuses 7 bytes", decode: decodeSmallInteger, hex: "01000000000000" },
    { what: "decodeUnsigned() refuses a padded integer", decode: decodeUnsigned, hex: "0001" },
    { what: "checkInt64() refuses a padded integer", decode: checkInt64, hex: "0001" },
    { what: "checkInt64() refuses 9 bytes", decode: checkInt64, hex: "010000000000000000" },
    { what: "decodeBitString() refuses empty content", decode: decodeBitString, hex: "" },
    { what: "decodeBitString() refuses unused bits without a byte", decode: decodeBitString, hex: "01" },
    { what: "decodeBoolean() refuses two bytes", decode: decodeBoolean, hex: "0000" },
    { what: "decodeOid() refuses empty content", decode: decodeOid, hex: "" },
    { what: "decodeBitString() refuses set padding bits", decode: decodeBitString, hex: "0101" },
    { what: "decodeBitString() refuses 8 unused bits", decode: decodeBitString, hex: "0800" },
    { what: "decodeOid() refuses a padded arc", decode: decodeOid, hex: "2a8001" },
    { what: "decodeOid() refuses a cut arc", decode: decodeOid, hex: "2a86" },
    {
      what: "decodeOid() refuses an arc above 31 bits",
      decode: decodeOid,
      hex: "2a8fffffff7f7f".slice(0, 12) + "ff7f",
    },
  ]
) test(what, () => assert.throws(() => decode(fromHex(hex)), { name: "Error" }));

for (
  const [hex, want] of [["0080", 128], ["7f", 127], ["80", -128], ["ff7f", -129], ["010000000000", 2 ** 40]] as const
) {
  test(`decodeSmallInteger() reads ${hex}`, () => assert.equal(decodeSmallInteger(fromHex(hex)), want));
}

test("decodeOid() refuses a sixth byte of an arc before its end", () => {
  assert.throws(() => decodeOid(fromHex("2a818181818181")), {
    message: "asn1: structure error: base 128 integer too large",
  });
});

test("toResult() and withText() handle a DerError, and throw any other error", () => {
  const fail = (error: Error) => () => {
    throw error;
  };
  assert.deepEqual(toResult(fail(new DerError("cut"))), { ok: false, error: "cut" });
  assert.throws(() => toResult(fail(new TypeError("a bug"))), { message: "a bug" });
  assert.deepEqual(toResult(() => withText("other", fail(new DerError("cut")))), { ok: false, error: "other" });
  assert.throws(() => withText("other", fail(new TypeError("a bug"))), { message: "a bug" });
});

test("decodeUnsigned() and decodeBitString() return only the digits and the bits", () => {
  assert.deepEqual(["00", "0080", "7f"].map((hex) => toHex(decodeUnsigned(fromHex(hex))!)), ["00", "80", "7f"]);
  assert.equal(decodeUnsigned(fromHex("80")), undefined);
  assert.deepEqual(decodeBitString(fromHex("0780")), { bytes: fromHex("80"), unusedBits: 7 });
  assert.deepEqual(decodeBitString(fromHex("00")).bytes.length, 0);
});

test("equalBytes() compares lengths, too", () => {
  const compare = (a: string, b: string) => equalBytes(fromHex(a), fromHex(b));
  assert.deepEqual([compare("01", "01"), compare("01", "0102"), compare("0102", "01")], [true, false, false]);
});

test("decodeSignature() shifts unused bits out, as Go does", () => {
  assert.equal(toHex(decodeSignature(fromHex("00300280"))), "300280");
  assert.equal(toHex(decodeSignature(fromHex("04300280"))), "030028");
});

for (
  const { value, hex } of [
    { value: encodeUnsigned(new Uint8Array(16)), hex: "020100" },
    { value: encodeUnsigned(Uint8Array.of(0, 0, 0x80)), hex: "02020080" },
    { value: encodeSmallInteger(300), hex: "0202012c" },
    { value: encodeBitString(Uint8Array.of(0xa0), 5), hex: "030205a0" },
    { value: encodeOid("1.2.840.10045.3.1.7"), hex: "06082a8648ce3d030107" },
    { value: encodeText("a=b"), hex: "1303613d62" },
    { value: encodeText("a*b"), hex: "0c03612a62" },
    { value: encodeTime(new Date("1950-01-01T00:00:00Z")), hex: "170d3530303130313030303030305a" },
    { value: encodeTime(new Date("2049-12-31T23:59:59.999Z")), hex: "170d3439313233313233353935395a" },
    { value: encodeTime(new Date("2050-01-01T00:00:00Z")), hex: "180f32303530303130313030303030305a" },
  ]
) test(`the writer writes ${hex}`, () => assert.equal(toHex(value), hex));

for (
  const { length, header } of [
    { length: 0x7f, header: "047f" },
    { length: 0x80, header: "048180" },
    { length: 0xff, header: "0481ff" },
    { length: 0x100, header: "04820100" },
    { length: 0xffff, header: "0482ffff" },
    { length: 0x10000, header: "0483010000" },
    { length: 0xffffff, header: "0483ffffff" },
    { length: 0x1000000, header: "048401000000" },
  ]
) {
  test(`the writer writes a length of ${length} bytes in the shortest form`, () => {
    const value = encodeOctetString(new Uint8Array(length));
    assert.equal(toHex(value.subarray(0, value.length - length)), header);
  });
}

for (
  const { tag, text, want } of [
    { tag: TAG.utcTime, text: "491231235959Z", want: "2049-12-31T23:59:59.000Z" },
    { tag: TAG.utcTime, text: "500101000000Z", want: "1950-01-01T00:00:00.000Z" },
    { tag: TAG.utcTime, text: "2601010000Z", want: "2026-01-01T00:00:00.000Z" },
    { tag: TAG.utcTime, text: "260101013000+0130", want: "2026-01-01T00:00:00.000Z" },
    { tag: TAG.generalizedTime, text: "99991231235959Z", want: "9999-12-31T23:59:59.000Z" },
    { tag: TAG.generalizedTime, text: "00500101000000Z", want: "0050-01-01T00:00:00.000Z" },
    { tag: TAG.utcTime, text: "260230000000Z", want: undefined },
    { tag: TAG.utcTime, text: "261301000000Z", want: undefined },
    { tag: TAG.utcTime, text: "260101240000Z", want: undefined },
    { tag: TAG.utcTime, text: "260101106000Z", want: undefined },
    { tag: TAG.utcTime, text: "260101100060Z", want: undefined },
    { tag: TAG.utcTime, text: "260101000000", want: undefined },
    { tag: TAG.generalizedTime, text: "20260101000000.5Z", want: undefined },
  ]
) {
  test(`decodeTime() reads ${text} as ${want ?? "an error"}`, () => {
    const read = (): string => decodeTime(tag, new TextEncoder().encode(text)).toISOString();
    if (want === undefined) assert.throws(read, { message: /^x509: malformed (UTC|Generalized)Time$/ });
    else assert.equal(read(), want);
  });
}

for (
  const { name, tag, hex, want } of [
    { name: "a UTF8String with a byte order mark", tag: TAG.utf8String, hex: "efbbbfc3a4", want: "\ufeff\u00e4" },
    { name: "a malformed UTF8String", tag: TAG.utf8String, hex: "c3", want: "asn1: invalid UTF-8 string" },
    { name: "a PrintableString with a wildcard", tag: TAG.printableString, hex: "2a2e61", want: "*.a" },
    {
      name: "a PrintableString with @",
      tag: TAG.printableString,
      hex: "40",
      want: "asn1: syntax error: PrintableString contains invalid character",
    },
    { name: "an IA5String", tag: TAG.ia5String, hex: "40", want: "@" },
    {
      name: "an IA5String above 7 bits",
      tag: TAG.ia5String,
      hex: "80",
      want: "asn1: syntax error: IA5String contains invalid character",
    },
    {
      name: "a NumericString with a letter",
      tag: TAG.numericString,
      hex: "3161",
      want: "asn1: syntax error: NumericString contains invalid character",
    },
    { name: "a T61String as Latin-1", tag: TAG.t61String, hex: "e4", want: "\u00e4" },
    { name: "an OCTET STRING, which is no text", tag: TAG.octetString, hex: "61", want: undefined },
    { name: "an empty BMPString", tag: TAG.bmpString, hex: "", want: "" },
    { name: "a BMPString", tag: TAG.bmpString, hex: "004101000142", want: "A\u0100\u0142" },
    { name: "a BMPString of one letter", tag: TAG.bmpString, hex: "0041", want: "A" },
    { name: "a BMPString with a terminating zero", tag: TAG.bmpString, hex: "00410000", want: "A" },
    { name: "a BMPString of a zero alone", tag: TAG.bmpString, hex: "0000", want: "" },
    { name: "a BMPString of an odd length", tag: TAG.bmpString, hex: "004100", want: "invalid BMPString" },
    ...["d7ff", "e000", "fdcf", "fdf0", "fffd"].map((hex) => (
      { name: `U+${hex} in a BMPString`, tag: TAG.bmpString, hex, want: String.fromCharCode(parseInt(hex, 16)) }
    )),
    ...["d800", "dfff", "fdd0", "fdef", "fffe", "ffff"].map((hex) => (
      { name: `U+${hex} in a BMPString`, tag: TAG.bmpString, hex, want: "invalid BMPString" }
    )),
  ]
) {
  test(`decodeText() reads ${name} as ${JSON.stringify(want)}`, () => {
    const read = toResult(() => decodeText(tag, fromHex(hex), "request"));
    assert.equal(read.ok ? read.value : read.error, want);
  });
}

test("decodeText() names the type of a malformed text in a certificate", () => {
  assert.throws(() => decodeText(TAG.bmpString, fromHex("d800"), "certificate"), {
    message: "x509: invalid RDNSequence: invalid attribute value: invalid BMPString",
  });
});

test("decodeOid() reads the smallest arcs below 2, and the largest arc", () => {
  for (const dotted of ["0.39", "1.39.0", "2.0", "2.40.1", "2.999.2147483647"]) {
    assert.equal(decodeOid(encodeOid(dotted).subarray(2)), dotted);
  }
});

test("decodeOid() reads the output of encodeOid()", () => {
  const arc = fc.nat({ max: 0x7fffffff });
  fc.assert(fc.property(fc.nat({ max: 2 }), fc.nat({ max: 39 }), fc.array(arc, { maxLength: 6 }), (a, b, rest) => {
    const dotted = [a, b, ...rest].join(".");
    assert.equal(decodeOid(encodeOid(dotted).subarray(2)), dotted);
  }));
});
