import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { parseUri } from "./uri.ts";

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
