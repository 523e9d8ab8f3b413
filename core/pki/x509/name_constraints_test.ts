// Rows are the situations of Go's `crypto/x509/name_constraints_test.go`; openssl verifies whole chains in tests/interop.
import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import {
  createTestAuthority,
  issueTestCertificate,
  planTestLeaf,
  unwrap,
} from "../../../tests/support/test_authority.ts";
import { parseCertificate } from "./certificate.ts";
import { formatCidr, parseCidr } from "../../lib/ip_address.ts";
import { toResult } from "../asn1/der.ts";
import { findDnsNameFault, parseDnsSubtree } from "./name_syntax.ts";
import {
  encodeNameConstraints,
  findNameFault,
  findSubtreeFault,
  type NameConstraints,
  type NameSubtrees,
  NO_SUBTREES,
  parseNameConstraints,
  permitNames,
} from "./name_constraints.ts";
import type { AlternativeNames } from "./subject_alternative_names.ts";

const NO_NAMES: AlternativeNames = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] };

function createConstraints(edit: { permit?: Partial<NameSubtrees>; exclude?: Partial<NameSubtrees> }): NameConstraints {
  return { permitted: { ...NO_SUBTREES, ...edit.permit }, excluded: { ...NO_SUBTREES, ...edit.exclude } };
}

const permit = (subtrees: Partial<NameSubtrees>): NameConstraints => createConstraints({ permit: subtrees });
const exclude = (subtrees: Partial<NameSubtrees>): NameConstraints => createConstraints({ exclude: subtrees });
const dns = (...dnsNames: string[]): Partial<AlternativeNames> => ({ dnsNames });
const ip = (...ipAddresses: string[]): Partial<AlternativeNames> => ({ ipAddresses });

const EXAMPLE = permit({ dnsNames: ["example.org"] });

for (
  const [constraints, names, fault] of [
    [EXAMPLE, {}, undefined],
    [EXAMPLE, dns("example.org", "a.b.EXAMPLE.org", "*.example.org"), undefined],
    [EXAMPLE, dns("example.org", "badexample.org"), 'DNS name "badexample.org" is not permitted by any constraint'],
    [EXAMPLE, dns("example.org.evil.com"), "not permitted"],
    [EXAMPLE, dns("org"), "not permitted"],
    [EXAMPLE, dns("*.org"), "not permitted"],
    [EXAMPLE, dns("example.org."), 'DNS name "example.org." cannot be matched against constraints'],
    [EXAMPLE, dns("a..example.org"), "cannot be matched"],
    [EXAMPLE, dns("a@example.org"), "not permitted"],
    [EXAMPLE, dns(`${"a".repeat(64)}.example.org`), "cannot be matched"],
    [EXAMPLE, ip("192.0.2.1"), undefined],
    [EXAMPLE, { emailAddresses: ["nobody"], uris: ["https://a..b/"] }, undefined],
    [EXAMPLE, { emailAddresses: ["a@example.com"], uris: ["https://example.com/"] }, undefined],
    [permit({ dnsNames: [".example.org"] }), dns("a.example.org"), undefined],
    [permit({ dnsNames: [".example.org"] }), dns("example.org"), "not permitted"],
    [permit({ dnsNames: ["Example.ORG"] }), dns("a.example.org"), undefined],
    [permit({ dnsNames: [""] }), dns("a.example.org"), undefined],
    [permit({ dnsNames: ["a.org", "b.org"] }), dns("x.b.org"), undefined],
    [exclude({ dnsNames: ["example.org"] }), dns("a.example.com"), undefined],
    [
      exclude({ dnsNames: ["example.org"] }),
      dns("a.example.org"),
      'DNS name "a.example.org" is excluded by constraint "example.org"',
    ],
    [exclude({ dnsNames: ["a.example.org"] }), dns("*.example.org"), "excluded"],
    [exclude({ dnsNames: ["b.a.example.org"] }), dns("*.example.org"), undefined],
    [exclude({ dnsNames: ["a.example.org"] }), dns("b.example.org"), undefined],
    [exclude({ dnsNames: ["g"] }), dns("*.g"), "excluded"],
    [exclude({ dnsNames: ["org"] }), dns("*.g"), undefined],
    [
      createConstraints({ permit: { dnsNames: ["example.org"] }, exclude: { dnsNames: ["x.example.org"] } }),
      dns("a.x.example.org"),
      "excluded",
    ],
    [permit({ ipRanges: ["10.0.0.0/8"] }), ip("10.255.0.1"), undefined],
    [permit({ ipRanges: ["10.0.0.0/8"] }), ip("11.0.0.1"), 'IP address "11.0.0.1" is not permitted by any constraint'],
    [permit({ ipRanges: ["10.0.0.0/8"] }), ip("fd00::1"), "not permitted"],
    [permit({ ipRanges: ["10.0.0.0/8", "fd00::/8"] }), ip("10.0.0.1", "fd00::1"), undefined],
    [exclude({ ipRanges: ["0.0.0.0/0"] }), ip("1.2.3.4"), "excluded"],
    [exclude({ ipRanges: ["0.0.0.0/0"] }), ip("::1"), undefined],
    [
      permit({ emailAddresses: ["example.org"] }),
      { emailAddresses: ["Me@a.Example.org", "me@example.org"] },
      undefined,
    ],
    [permit({ emailAddresses: ["example.org"] }), { emailAddresses: ["me@"] }, "cannot be matched"],
    [permit({ emailAddresses: ["me@example.org"] }), { emailAddresses: ["me@EXAMPLE.org"] }, undefined],
    [permit({ emailAddresses: ["me@example.org"] }), { emailAddresses: ["Me@example.org"] }, "not permitted"],
    [permit({ emailAddresses: ["example.org"] }), { emailAddresses: ["nobody"] }, "cannot be matched"],
    [permit({ uris: ["example.org"] }), { uris: ["https://u@a.Example.org:8443/x?y#z"] }, undefined],
    [permit({ uris: ["example.org"] }), { uris: ["https://example.com/example.org"] }, "not permitted"],
    [permit({ uris: ["example.org"] }), { uris: ["https://a..example.org/"] }, "cannot be matched"],
    [permit({ uris: ["example.org"] }), { uris: ["https://192.0.2.1/"] }, "cannot be matched"],
    [permit({ uris: ["example.org"] }), { uris: ["https://[::1]/"] }, "cannot be matched"],
    [permit({ uris: ["example.org"] }), { uris: ["urn:example:org"] }, "cannot be matched"],
    [EXAMPLE, { uris: ["urn:example:org"] }, 'URI "urn:example:org" cannot be matched'],
    [EXAMPLE, { uris: ["https://10.0.0.1/"] }, "cannot be matched"],
    [EXAMPLE, { uris: ["https://[::1]:443/"] }, "cannot be matched"],
    [EXAMPLE, { uris: ["https://a_b:443/"] }, undefined],
  ] as readonly (readonly [NameConstraints, Partial<AlternativeNames>, string | undefined])[]
) {
  const about = JSON.stringify([constraints, names], (_, value) => value?.length === 0 ? undefined : value);
  test(`findNameFault() finds ${fault ?? "nothing"} in ${about}`, () => {
    const found = findNameFault(constraints, { ...NO_NAMES, ...names });
    if (fault === undefined) assert.equal(found, undefined);
    else assert.ok(found?.includes(fault), found);
  });
}

test("findNameFault() gives up before too many comparisons", () => {
  const dnsNames = Array.from({ length: 500 }, (_, index) => `n${index}.example.org`);
  const constraints = createConstraints({ permit: { dnsNames }, exclude: { dnsNames: ["example.com"] } });
  assert.equal(findNameFault(permit({ dnsNames }), { ...NO_NAMES, dnsNames }), undefined);
  assert.equal(findNameFault(constraints, { ...NO_NAMES, dnsNames }), "too many name constraints");
});

test("findSubtreeFault() finds subtrees that a CA may not permit", () => {
  const excluded = { ...NO_SUBTREES, dnsNames: ["secret.example.org"], ipRanges: ["10.9.0.0/16"] };
  const permitted = { ...NO_SUBTREES, dnsNames: [".example.org"], ipRanges: ["10.0.0.0/8"] };
  const find = (dnsNames: readonly string[], ipRanges: readonly string[] = []): string | undefined =>
    findSubtreeFault({ permitted, excluded }, { dnsNames, ipRanges });
  assert.equal(find([".example.org", "a.Example.org"], ["10.1.0.0/16", "10.0.0.0/8"]), undefined);
  assert.equal(find(["example.org"]), '"example.org" is not permitted');
  assert.equal(find(["example.com"]), '"example.com" is not permitted');
  assert.equal(find(["a.secret.example.org"]), '"a.secret.example.org" is excluded');
  assert.equal(find([], ["0.0.0.0/0"]), '"0.0.0.0/0" is not permitted');
  assert.equal(find([], ["10.9.1.1/32"]), '"10.9.1.1/32" is excluded');
  const two = createConstraints({
    permit: { dnsNames: ["example.com", "example.org"] },
    exclude: { dnsNames: ["a.b.org"] },
  });
  assert.equal(findSubtreeFault(two, { dnsNames: ["x.example.org"], ipRanges: [] }), undefined);
  const anything = { permitted: NO_SUBTREES, excluded: NO_SUBTREES };
  assert.equal(findSubtreeFault(anything, { dnsNames: ["a"], ipRanges: [] }), undefined);
});

test("permitNames() constrains nothing without names", () => {
  assert.equal(permitNames([], []), undefined);
  assert.deepEqual(permitNames(["a"], ["10.0.0.0/8"]), permit({ dnsNames: ["a"], ipRanges: ["10.0.0.0/8"] }));
});

test("parseNameConstraints() reads the output of encodeNameConstraints()", () => {
  const constraints = createConstraints({
    permit: {
      dnsNames: ["example.org", ".example.net"],
      ipRanges: ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "fd00::/8", "::1/128"],
    },
    exclude: { emailAddresses: ["me@example.org", "example.com"], uris: ["host.example"], dnsNames: [""] },
  });
  assert.deepEqual(parseNameConstraints(encodeNameConstraints(constraints)), { ...constraints, isUnderstood: true });
  const single = parseNameConstraints(encodeNameConstraints(EXAMPLE));
  assert.deepEqual(single, { ...EXAMPLE, isUnderstood: true });
  const hex = Buffer.from(encodeNameConstraints(permit({ dnsNames: ["a"] }))).toString("hex");
  assert.equal(hex, "3007a0053003820161");
});

for (
  const [name, hex, fault] of [
    ["nothing", "3000", "x509: empty name constraints extension"],
    ["no subtree", "3002a000", "x509: empty name constraints extension"],
    ["bytes after it", "3007a00530038201610500", "x509: invalid NameConstraints extension"],
    ["bytes within it", "3009a00530038201610500", "x509: invalid NameConstraints extension"],
    ["no SEQUENCE", "0400", "x509: invalid NameConstraints extension"],
    ["a DNS name with a final dot", "3008a00630048202612e", 'failed to parse dnsName constraint "a."'],
    ["a DNS name that begins with a space", "3008a006300482022061", 'failed to parse dnsName constraint " a"'],
    ["a DNS name that is not ASCII", "3007a00530038201e9", "x509: invalid constraint value"],
    ["an address without a mask", "300aa0083006870401020304", "IP constraint contained value of length 4"],
    ["a mask with a hole", "300ea00c300a87080a000000ff00ff00", "IP constraint contained invalid mask ff00ff00"],
    ["a URI that is an address", "300da00b30098607312e322e332e34", "cannot be IP address"],
    ["a mailbox without a name", "300aa00830068104406f7267", 'failed to parse rfc822Name constraint "@org"'],
  ] as const
) {
  test(`parseNameConstraints() refuses ${name}`, () => {
    const parsed = toResult(() => parseNameConstraints(new Uint8Array(Buffer.from(hex, "hex"))));
    assert.ok(!parsed.ok && parsed.error.includes(fault), parsed.ok ? "accepted" : parsed.error);
  });
}

test("a certificate with constraints on directory names has an unknown critical extension", async () => {
  const root = await createTestAuthority();
  const plan = planTestLeaf(root.privateKey, { isCa: true, nameConstraints: EXAMPLE });
  const good = await issueTestCertificate(root, plan);
  assert.deepEqual([good.nameConstraints, good.unknownCriticalExtensions], [EXAMPLE, []]);
  // SEQUENCE { [0] { SEQUENCE { [4] { an empty Name } } } }
  const directory = parseNameConstraints(new Uint8Array(Buffer.from("3008a0063004a4023000", "hex")));
  assert.deepEqual(directory, { permitted: NO_SUBTREES, excluded: NO_SUBTREES, isUnderstood: false });
  const { der } = good;
  const at = Buffer.from(der).indexOf(Buffer.from("820b" + Buffer.from("example.org").toString("hex"), "hex"));
  assert.ok(at > 0);
  const foreign = der.slice();
  foreign[at] = 0xa4;
  assert.deepEqual(unwrap(parseCertificate(foreign)).unknownCriticalExtensions, ["2.5.29.30"]);
});

test("issueCertificate() gives name constraints only to a CA", async () => {
  const root = await createTestAuthority();
  const plan = planTestLeaf(root.privateKey, { nameConstraints: EXAMPLE });
  await assert.rejects(issueTestCertificate(root, plan), { code: "invalid" });
});

test("parseDnsSubtree() returns lower case, or describes the expected form", () => {
  for (const good of ["example.org", ".example.org", "localhost", "A_b.example", "a".repeat(63)]) {
    assert.deepEqual(parseDnsSubtree(good), { ok: true, value: good.toLowerCase() });
  }
  for (const bad of ["", ".", "*.example.org", "example.org.", "a..b", "ex ample", "é.org", "a".repeat(64)]) {
    assert.ok(!parseDnsSubtree(bad).ok, bad);
  }
});

test("findDnsNameFault() accepts only plain names", () => {
  const longest = `${"a.".repeat(126)}a`;
  for (const good of ["example.org", "a_b", longest]) assert.equal(findDnsNameFault(good), undefined, good);
  for (
    const [bad, fault] of [
      ["", "is not a DNS name"],
      ["*.a", "is a wildcard"],
      ["a.", "ends with a dot"],
      ["A.b", "is not in lower case"],
      ["10.0.0.1", "is an address, not a DNS name"],
      [`${"a".repeat(64)}.b`, "is not a DNS name"],
      [`a${longest}`, "is not a DNS name"],
    ] as const
  ) assert.equal(findDnsNameFault(bad), `"${bad}" ${fault}`);
});

test("formatCidr() writes a range in one way", () => {
  const format = (text: string): string => {
    const range = parseCidr(text);
    assert.ok(range !== undefined, text);
    return formatCidr(range);
  };
  assert.deepEqual(["10.0.0.0/8", "10.1.2.3", "fd00::/8", "::/0"].map(format), [
    "10.0.0.0/8",
    "10.1.2.3/32",
    "fd00::/8",
    "::/0",
  ]);
  const mapped = Uint8Array.from([...new Uint8Array(10), 255, 255, 10, 1, 2, 3]);
  assert.equal(formatCidr({ bytes: mapped, prefixBits: 104 }), "10.0.0.0/8");
});
