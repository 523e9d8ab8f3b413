import assert from "node:assert/strict";
import { test } from "node:test";
import { KEY_USAGES } from "../../core/kube/kinds/constants.ts";
import type { Result } from "../../core/lib/result.ts";
import {
  parseRequestedDnsName,
  parseRequestedEmail,
  parseRequestedIpAddress,
  parseRequestedUri,
  parseRequestedUsage,
} from "./request.ts";

const cases: readonly {
  parse: (text: string) => Result<string, string>;
  good: Readonly<Record<string, string>>;
  bad: Readonly<Record<string, RegExp>>;
}[] = [
  {
    parse: parseRequestedDnsName,
    good: { web: "web", "a.example.com": "a.example.com", "*.example.com": "*.example.com", "A.example": "A.example" },
    bad: {
      "10.0.0.1": /give it with --ip/,
      "::1": /give it with --ip/,
      "": /want a DNS name/,
      "a b": /want a DNS name/,
      "a.*.b": /wildcard/,
      "a.": /ends with a dot/,
      "https://a": /want a DNS name/,
    },
  },
  {
    parse: parseRequestedIpAddress,
    good: { "10.0.0.1": "10.0.0.1", "0:0::1": "::1", "::FFFF": "::ffff" },
    bad: { "10.0.0": /want an IP address/, "10.0.0.0/8": /want an IP address/, localhost: /want an IP address/ },
  },
  {
    parse: parseRequestedUri,
    good: { "spiffe://a.b/c": "spiffe://a.b/c", "https://a": "https://a", "urn:x:y": "urn:x:y" },
    bad: { "a/b": /want a URI/, "": /want a URI/, "https:": /want a URI/, "x://a b": /want a URI/ },
  },
  {
    parse: parseRequestedEmail,
    good: { "a@example.com": "a@example.com", "a+b@c": "a+b@c" },
    bad: { a: /want an email address/, "a@b@c": /want an email/, "é@b": /want an email/, "a b@c": /want an email/ },
  },
  {
    parse: parseRequestedUsage,
    good: {
      "client auth": "client auth",
      "client-auth": "client auth",
      "s/mime": "s/mime",
      "IPSEC-end-system": "ipsec end system",
    },
    bad: { clientAuth: /want one of any, cert-sign, client-auth/, "": /want one of/ },
  },
];
for (const { parse, good, bad } of cases) {
  for (const [text, want] of Object.entries(good)) {
    test(`${parse.name}() reads ${text}`, () => assert.deepEqual(parse(text), { ok: true, value: want }));
  }
  for (const [text, want] of Object.entries(bad)) {
    test(`${parse.name}() refuses "${text}"`, () => {
      const parsed = parse(text);
      assert.ok(!parsed.ok);
      assert.match(parsed.error, want);
    });
  }
}

test("parseRequestedUsage() knows every usage of the API, with spaces and with dashes", () => {
  for (const usage of KEY_USAGES) {
    for (const text of [usage, usage.replaceAll(" ", "-")]) {
      assert.deepEqual(parseRequestedUsage(text), { ok: true, value: usage });
    }
  }
});
