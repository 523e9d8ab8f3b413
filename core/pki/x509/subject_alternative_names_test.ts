import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { encodeAlternativeNames, parseAlternativeNames } from "./subject_alternative_names.ts";
import { DerError } from "../asn1/der.ts";
import { encodeSequence, encodeValue } from "../asn1/der_writer.ts";

const ascii = fc.stringMatching(/^[a-z0-9.@-]*$/);

test("parseAlternativeNames() reads the output of encodeAlternativeNames()", () => {
  const names = fc.record(
    {
      dnsNames: fc.array(ascii, { minLength: 1, maxLength: 4 }),
      emailAddresses: fc.array(ascii, { maxLength: 4 }),
      ipAddresses: fc.array(fc.oneof(fc.ipV4(), fc.constantFrom("::1", "2001:db8::2")), { maxLength: 4 }),
      uris: fc.array(fc.constantFrom("spiffe://a/b", "urn:x", "https://a.example/?b#c"), { maxLength: 4 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(names, (wanted) => {
    const { otherNames, ...read } = parseAlternativeNames(encodeAlternativeNames(wanted)!);
    assert.equal(otherNames, 0);
    assert.deepEqual(read, wanted);
  }));
});

test("parseAlternativeNames() throws only DerError, whatever the names", () => {
  const name = fc.tuple(fc.constantFrom(0x80, 0x81, 0x82, 0x86, 0x87, 0xa0, 0x30), fc.uint8Array({ maxLength: 20 }));
  const value = fc.oneof(
    fc.uint8Array().map((bytes) => new Uint8Array(bytes)),
    fc.array(name).map((parts) => encodeSequence(...parts.map(([tag, content]) => encodeValue(tag, content)))),
  );
  fc.assert(fc.property(value, (bytes) => {
    try {
      parseAlternativeNames(bytes);
    } catch (error) {
      assert.ok(error instanceof DerError, String(error));
    }
  }));
});

test("encodeAlternativeNames() writes more names than a call may have arguments", () => {
  const dnsNames = Array.from({ length: 200_000 }, () => "a");
  const value = encodeAlternativeNames({ dnsNames, emailAddresses: [], ipAddresses: [], uris: [] });
  assert.equal(parseAlternativeNames(value!).dnsNames.length, 200_000);
});
