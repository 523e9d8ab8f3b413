import assert from "node:assert/strict";
import { test } from "node:test";
import { formatName, type SubjectFields } from "../../../core/pki/x509/names.ts";
import fc, { anyText } from "../../../tests/support/properties.ts";
import { parseSubject } from "./flags.ts";

const good: readonly { text: string; want: SubjectFields }[] = [
  { text: "CN=web", want: { commonName: "web" } },
  { text: "/CN=web", want: { commonName: "web" } },
  { text: "CN=a,O=b,O=c", want: { commonName: "a", organizations: ["b", "c"] } },
  { text: " cn = a , o = b ", want: { commonName: "a", organizations: ["b"] } },
  {
    text: "/C=DE/ST=Berlin/L=Berlin/O=a, b/OU=x/CN=system:node:n1",
    want: {
      countries: ["DE"],
      provinces: ["Berlin"],
      localities: ["Berlin"],
      organizations: ["a, b"],
      organizationalUnits: ["x"],
      commonName: "system:node:n1",
    },
  },
  { text: "CN=a+O=b", want: { commonName: "a", organizations: ["b"] } },
  { text: "CN=a+b", want: { commonName: "a+b" } },
  { text: "CN=a=b", want: { commonName: "a=b" } },
  { text: String.raw`CN=a\,O\=b`, want: { commonName: "a,O=b" } },
  { text: String.raw`/CN=a\/b`, want: { commonName: "a/b" } },
  { text: String.raw`CN=caf\C3\A9`, want: { commonName: "café" } },
  {
    text: String.raw`CN=\ a\ ,STREET=x,POSTALCODE=1,SERIALNUMBER=7`,
    want: {
      commonName: " a ",
      streetAddresses: ["x"],
      postalCodes: ["1"],
      serialNumber: "7",
    },
  },
];
for (const { text, want } of good) {
  test(`parseSubject() reads ${text}`, () => assert.deepEqual(parseSubject(text), { ok: true, value: want }));
}

const bad: readonly { text: string; want: RegExp }[] = [
  { text: "", want: /want CN=name/ },
  { text: "web", want: /want CN=name/ },
  { text: "/web", want: /want CN=name/ },
  { text: "=web", want: /want CN=name/ },
  { text: "CN=", want: /CN has no value/ },
  { text: "CN=a,", want: /want CN=name/ },
  { text: "CN=a,CN=b", want: /CN is given twice/ },
  { text: "CN=a,emailAddress=b", want: /unsupported attribute "emailAddress"/ },
  { text: 'CN="a,b"', want: /begins with " must be written/ },
  { text: "CN=#0401", want: /begins with # must be written/ },
  { text: String.raw`CN=\C3`, want: /not UTF-8/ },
  { text: "CN=a\\", want: /middle of an escape/ },
];
for (const { text, want } of bad) {
  test(`parseSubject() refuses "${text}"`, () => {
    const subject = parseSubject(text);
    assert.ok(!subject.ok);
    assert.match(subject.error, want);
  });
}

const value = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => text.isWellFormed());
test("parseSubject() reads the output of formatName()", () => {
  fc.assert(fc.property(
    value,
    fc.array(value, { minLength: 1, maxLength: 3 }),
    fc.array(value, { minLength: 1, maxLength: 2 }),
    (commonName, organizations, localities) => {
      const subject = { commonName, organizations, localities };
      assert.deepEqual(parseSubject(formatName(subject)), { ok: true, value: subject });
    },
  ));
});

test("parseSubject() trims U+0020, and no other white space", () => {
  for (const space of ["\u00a0", "\u2003", "\u3000", "\t"]) {
    assert.deepEqual(parseSubject(`CN=${space}a${space}`), { ok: true, value: { commonName: `${space}a${space}` } });
  }
});

test("parseSubject() never throws", () => {
  fc.assert(fc.property(anyText(), (text) => typeof parseSubject(text).ok === "boolean"));
});
