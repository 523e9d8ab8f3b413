import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { encodeAlternativeNames, parseAlternativeNames } from "./subject_alternative_names.ts";
import { isDocumentUrl, isMailAddress, MAX_URL_LENGTH, parseUri } from "./name_syntax.ts";
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

for (
  const { text, want } of [
    { text: "spiffe://cluster.local/ns/a/sa/b", want: "spiffe://cluster.local/ns/a/sa/b" },
    { text: "HTTPS://Host.example/A", want: "https://Host.example/A" },
    { text: "urn:a:b", want: "urn:a:b" },
    { text: "/only/path", want: "/only/path" },
    { text: "http://h/a b", want: "http://h/a%20b" },
    { text: "http://h/%41?q=1", want: "http://h/%41?q=1" },
    { text: "http://h/#", want: "http://h/" },
    { text: "http://h/#f", want: "http://h/#f" },
    { text: "http://[::1]:80/", want: "http://[::1]:80/" },
    { text: "", want: "" },
    { text: "#f", want: "#f" },
    { text: "?q", want: "?q" },
    { text: "///a", want: "///a" },
    { text: "//h/a", want: "//h/a" },
    { text: "//a..b/", want: /invalid domain$/ },
    { text: "http:///a..b", want: "http:///a..b" },
    { text: "http://u:p@h/", want: "http://u:p@h/" },
    { text: "http://a b@h/", want: /parse "http:\/\/a b@h\/": net\/url: invalid userinfo$/ },
    { text: "http://:port/", want: /invalid port ":port" after host$/ },
    { text: ":x", want: /parse ":x": missing protocol scheme$/ },
    { text: "a/b:c", want: "a/b:c" },
    { text: "1a:c", want: /first path segment in URL cannot contain colon$/ },
    { text: "http://h/%zz", want: /invalid URL escape "%zz"$/ },
    { text: "http://h:port/", want: /invalid port ":port" after host$/ },
    { text: "https://a.example.org::0/", want: /invalid port "::0" after host$/ },
    { text: "postgres://a,b:1,c:2/", want: "postgres://a,b:1,c:2/" },
    { text: "http://[::1/", want: /missing '\]' in host$/ },
    { text: "http://h\n/", want: /invalid control character in URL$/ },
    { text: "http://a..b/", want: /^x509: cannot parse URI "http:\/\/a\.\.b\/": invalid domain$/ },
    { text: "http://a./", want: /invalid domain$/ },
  ]
) {
  test(`parseUri() reads ${JSON.stringify(text)} as ${want}`, () => {
    const parsed = parseUri(text);
    const got = "fault" in parsed ? parsed.fault : parsed.text;
    if (typeof want === "string") assert.equal(got, want);
    else assert.match(got, want);
  });
}

test("parseUri() reads its own output, and never throws", () => {
  const piece = fc.constantFrom("http", ":", "/", "//", "?", "#", "%", "%41", "a", "@", "[", "]", ".", " ", "80");
  fc.assert(fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
    const once = parseUri(pieces.join(""));
    if ("text" in once) assert.deepEqual(parseUri(once.text), once);
  }));
});

test("isDocumentUrl() accepts http, https and ldap, and no other text", () => {
  const longest = "http://a.example/".padEnd(MAX_URL_LENGTH, "x");
  for (const url of ["http://a.example/ca.crl", "https://a.example", "ldap://a.example/cn=ca", longest]) {
    assert.equal(isDocumentUrl(url), true, url);
  }
  for (
    const url of ["", "a.example/ca.crl", "ftp://a.example/", "http://a b/", "http://", "http://[/", `${longest}x`]
  ) {
    assert.equal(isDocumentUrl(url), false, url);
  }
});

// What `net/mail` ParseAddress of Go 1.26 accepts and refuses.
const ACCEPTED = [
  "a@example.com",
  " a.b+c@host ",
  "Ann <a@example.com>",
  "<a@example.com>",
  '"Ann (x)" <a@example.com>',
  '"a b"@example.com',
  "a@[192.0.2.1]",
  "a@ example.com",
];
const REFUSED = [
  "",
  "a",
  "a@",
  "@example.com",
  ".a@example.com",
  "a.@example.com",
  "a..b@example.com",
  "a@example..com",
  "a@example.com.",
  "a@example.com b",
  "a b@example.com",
  "Ann a@example.com>",
  '""@example.com',
  "a@[host]",
  "a@[]",
  "a@example.com,b@example.com",
];

for (const text of [...ACCEPTED, ...REFUSED]) {
  const want = ACCEPTED.includes(text);
  test(`isMailAddress() ${want ? "accepts" : "refuses"} ${JSON.stringify(text)}`, () => {
    assert.equal(isMailAddress(text), want);
  });
}
