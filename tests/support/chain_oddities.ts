/**
 * More cases for `chain_cases.ts`: odd, weak and large certificates, and those on which verifiers disagree. Where they
 * disagree, we follow Go. The TLS layers of the runtimes may refuse more. Where they refuse less, a comment says why.
 */
import {
  AUTHORITY,
  below,
  CERT_SIGN,
  CLIENT,
  constrained,
  type Draft,
  HOST,
  LEAF,
  leaf,
  manyNames,
  named,
  NAMES,
  type Outline,
  root,
  SERVER,
  tower,
  UNKNOWN,
  upper,
} from "./chain_drafts.ts";
import {
  alternativeNames,
  authorityKeyId,
  basicConstraints,
  extendedKeyUsage,
  extension,
  keyUsage,
  markCritical,
  nameConstraints,
  subjectKeyId,
} from "./odd_certificate.ts";
import { encodeOctetString } from "../../core/pki/asn1/der_writer.ts";

const ANY_USAGE = "2.5.29.37.0";

/** Returns a leaf and its CA, which is below the root and has one of the crafted keys. */
function keyed(key: string): Pick<Outline, "leaf" | "behind"> {
  return { leaf: leaf("upper", { signer: key }), behind: [{ ...upper, key }] };
}

/** Returns a leaf of the root with additional extensions. */
function leafWith(...extensions: Draft["extensions"]): Pick<Outline, "leaf"> {
  return { leaf: leaf("root", { extensions: [...LEAF, ...extensions] }) };
}

/** Returns a leaf below a constrained CA, with additional names. */
function namesBelow(ca: Draft, ...names: readonly string[]): Pick<Outline, "leaf" | "behind"> {
  return below(ca, { extensions: [extendedKeyUsage(SERVER), alternativeNames(`DNS:${HOST}`, ...names)] });
}

const DATES: readonly Outline[] = [
  { name: "an expired root", want: "refuse", roots: [{ ...root, from: -48, to: -24 }] },
  { name: "a root that is not valid yet", want: "refuse", roots: [{ ...root, from: 24, to: 48 }] },
  { name: "a leaf that ends before it begins", want: "refuse", leaf: leaf("root", { from: 1, to: -1 }) },
  { name: "a leaf that ended before it began", want: "refuse", leaf: leaf("root", { from: -1, to: -2 }) },
];

const USAGES: readonly Outline[] = [
  // RFC 5280 §4.2.1.12 leaves this to the application. Go accepts it; the TLS layers do not.
  {
    name: "any usage in the leaf",
    want: "accept",
    node: "refuse",
    deno: "refuse",
    leaf: leaf("root", { extensions: [extendedKeyUsage(ANY_USAGE), NAMES] }),
  },
  {
    name: "any usage in the intermediate",
    want: "accept",
    node: "refuse",
    deno: "refuse",
    ...below({ ...upper, extensions: [...AUTHORITY, extendedKeyUsage(ANY_USAGE)] }),
  },
  {
    name: "a root for servers",
    want: "accept",
    roots: [{ ...root, extensions: [...AUTHORITY, extendedKeyUsage(SERVER)] }],
  },
  {
    name: "a root for clients",
    want: "refuse",
    roots: [{ ...root, extensions: [...AUTHORITY, extendedKeyUsage(CLIENT)] }],
  },
  {
    name: "a leaf that may sign certificates but is not a CA",
    want: "accept",
    leaf: leaf("root", { extensions: [keyUsage(0, CERT_SIGN), extendedKeyUsage(SERVER), NAMES] }),
  },
  {
    name: "a CA as a server",
    want: "accept",
    // rustls accepts no CA as a server.
    deno: "refuse",
    leaf: leaf("root", { extensions: [basicConstraints(true), NAMES] }),
  },
  { name: "a path length without a CA", want: "accept", ...leafWith(basicConstraints(false, 0)) },
  // Go treats it as an absent extension, which allows everything.
  {
    name: "an empty list of usages",
    want: "accept",
    node: "refuse",
    deno: "refuse",
    leaf: leaf("root", { extensions: [extendedKeyUsage(), NAMES] }),
  },
];

const SIGNATURES: readonly Outline[] = [
  { name: "an intermediate that is signed with SHA-1", want: "refuse", ...below({ ...upper, isSha1: true }) },
  { name: "a root that signed itself with SHA-1", want: "accept", roots: [{ ...root, isSha1: true }] },
  // Go refuses smaller keys. The TLS layers require 2048 bits.
  {
    name: "an intermediate with an RSA key of 1024 bits",
    want: "accept",
    node: "refuse",
    deno: "refuse",
    ...keyed("RSA-1024"),
  },
  // This is safe if the verifier checks the whole padding.
  { name: "an intermediate with an RSA key of exponent 3", want: "accept", ...keyed("RSA-2048 with exponent 3") },
  // Anyone can forge its signatures. OpenSSL accepts it; our own check on Node refuses it.
  {
    name: "an intermediate with an RSA key of exponent 1",
    want: "refuse",
    openssl: "accept",
    ...keyed("RSA-2048 with exponent 1"),
  },
  // Deno's crypto stops at 4096 bits.
  { name: "an intermediate with an RSA key of 7680 bits", want: "accept", deno: "refuse", ...keyed("RSA-7680") },
  // Go's TLS refuses more than 8192 bits because they are expensive; OpenSSL stops at 16384.
  { name: "an intermediate with an RSA key of 8704 bits", want: "refuse", openssl: "accept", ...keyed("RSA-8704") },
  { name: "an intermediate with an RSA key of 16896 bits", want: "refuse", ...keyed("RSA-16896") },
];

const SERIALS: readonly Outline[] = [
  { name: "the serial number 0", want: "accept", leaf: leaf("root", { serial: Uint8Array.of(0) }) },
  { name: "a negative serial number", want: "refuse", leaf: leaf("root", { serial: Uint8Array.of(0xff, 0x01) }) },
  {
    name: "a serial number of 20 octets",
    want: "accept",
    leaf: leaf("root", { serial: new Uint8Array(20).fill(0x7f) }),
  },
  {
    name: "a serial number of 21 octets",
    want: "accept",
    leaf: leaf("root", { serial: new Uint8Array(21).fill(0x7f) }),
  },
];

const KEY_IDS: readonly Outline[] = [
  { name: "a critical authority key id", want: "refuse", ...leafWith(markCritical(authorityKeyId("root"))) },
  {
    name: "a critical authority key id in the intermediate",
    want: "refuse",
    ...below({ ...upper, extensions: [...AUTHORITY, markCritical(authorityKeyId("root"))] }),
  },
  { name: "a critical subject key id", want: "refuse", ...leafWith(markCritical(subjectKeyId("leaf"))) },
  {
    name: "no authority key id, below a CA that has one",
    want: "accept",
    ...below({ ...upper, extensions: [...AUTHORITY, subjectKeyId("upper")] }),
  },
  {
    name: "key ids that do not match",
    want: "refuse",
    // Go uses them as hints only. We follow OpenSSL, which our client uses on Node.
    go: "accept",
    ...below({ ...upper, extensions: [...AUTHORITY, subjectKeyId("upper")] }, {
      extensions: [...LEAF, authorityKeyId("another")],
    }),
  },
];

const NAME_CONSTRAINTS: readonly Outline[] = [
  { name: "a leading dot permits names below", want: "accept", ...below(constrained(["DNS:.example.org"])) },
  { name: "a leading dot does not permit the domain itself", want: "refuse", ...below(constrained([`DNS:.${HOST}`])) },
  { name: "a leading dot excludes names below", want: "refuse", ...below(constrained([], ["DNS:.example.org"])) },
  {
    name: "a leading dot does not exclude the domain itself",
    want: "accept",
    ...below(constrained([], [`DNS:.${HOST}`])),
  },
  { name: "every domain is excluded", want: "refuse", ...below(constrained([], ["DNS:"])) },
  {
    name: "a wildcard that covers an excluded host",
    want: "refuse",
    // RFC 5280 has no wildcards, and OpenSSL compares the asterisk literally. Our own check on Node refuses it.
    openssl: "accept",
    ...below(constrained([], ["DNS:n2.example.org"]), {
      extensions: [extendedKeyUsage(SERVER), alternativeNames("DNS:*.example.org")],
    }),
  },
  {
    name: "a wildcard within a permitted domain",
    want: "accept",
    ...below(constrained(["DNS:example.org"]), {
      extensions: [extendedKeyUsage(SERVER), alternativeNames("DNS:*.example.org")],
    }),
  },
  // rustls knows only host names and addresses. It refuses names of other kinds where they are constrained.
  {
    name: "a permitted mailbox",
    want: "accept",
    deno: "refuse",
    ...namesBelow(constrained(["EMAIL:a@example.org"]), "EMAIL:a@example.org"),
  },
  {
    name: "another mailbox is permitted",
    want: "refuse",
    ...namesBelow(constrained(["EMAIL:b@example.org"]), "EMAIL:a@example.org"),
  },
  {
    name: "mailboxes of a permitted host",
    want: "accept",
    deno: "refuse",
    ...namesBelow(constrained(["EMAIL:example.org"]), "EMAIL:a@example.org"),
  },
  {
    name: "mailboxes of another host are permitted",
    want: "refuse",
    ...namesBelow(constrained(["EMAIL:example.com"]), "EMAIL:a@example.org"),
  },
  {
    name: "mailboxes of a host are excluded",
    want: "refuse",
    ...namesBelow(constrained([], ["EMAIL:example.org"]), "EMAIL:a@example.org"),
  },
  {
    name: "constrained mailboxes, and no mailbox",
    want: "accept",
    ...below(constrained(["EMAIL:example.com"])),
  },
  {
    name: "a URI of a permitted host",
    want: "accept",
    deno: "refuse",
    ...namesBelow(constrained([`URI:${HOST}`]), `URI:https://${HOST}/x`),
  },
  // For RFC 5280 and OpenSSL this is a single host; Go also permits the hosts below it.
  {
    name: "a URI below a permitted host",
    want: "accept",
    node: "refuse",
    deno: "refuse",
    ...namesBelow(constrained(["URI:example.org"]), `URI:https://${HOST}/x`),
  },
  {
    name: "URIs of another host are permitted",
    want: "refuse",
    ...namesBelow(constrained(["URI:example.com"]), `URI:https://${HOST}/x`),
  },
  {
    name: "URIs of a host are excluded",
    want: "refuse",
    ...namesBelow(constrained([], [`URI:${HOST}`]), `URI:https://${HOST}/x`),
  },
  {
    name: "a URI without a host, where hosts are constrained",
    want: "refuse",
    ...namesBelow(constrained([`URI:${HOST}`]), "URI:urn:a:b"),
  },
  {
    name: "a permitted IPv6 network",
    want: "accept",
    ...namesBelow(constrained(["IP:2001:db8::/ffff:ffff::"]), "IP:2001:db8::1"),
  },
  {
    name: "another IPv6 network is permitted",
    want: "refuse",
    ...namesBelow(constrained(["IP:2001:db8::/ffff:ffff::"]), "IP:2001:db9::1"),
  },
  {
    name: "the IPv6 network is excluded",
    want: "refuse",
    ...namesBelow(constrained([], ["IP:2001:db8::/ffff:ffff::"]), "IP:2001:db8::1"),
  },
  {
    name: "an IPv4 address, where IPv6 networks are permitted",
    want: "refuse",
    ...namesBelow(constrained(["IP:2001:db8::/ffff:ffff::"]), "IP:10.0.0.1"),
  },
  // OpenSSL applies any mask.
  {
    name: "a network with holes in its mask",
    want: "refuse",
    node: "accept",
    ...below(constrained(["IP:127.0.0.0/255.0.255.0"])),
  },
  // RFC 5280 §4.2.1.10 forbids them; OpenSSL ignores them.
  {
    name: "empty constraints",
    want: "refuse",
    node: "accept",
    ...below({ ...upper, extensions: [...AUTHORITY, nameConstraints([])] }),
  },
];

const HOSTS: readonly Outline[] = [
  {
    name: "an empty list of names",
    want: "refuse",
    leaf: leaf("root", { subject: HOST, key: "leaf", extensions: [extendedKeyUsage(SERVER), alternativeNames()] }),
  },
  {
    name: "an empty list of names, critical",
    want: "refuse",
    leaf: leaf("root", { extensions: [extendedKeyUsage(SERVER), markCritical(alternativeNames())] }),
  },
  {
    name: "names that are not a list",
    want: "refuse",
    leaf: leaf("root", {
      extensions: [extendedKeyUsage(SERVER), extension("2.5.29.17", encodeOctetString(new Uint8Array(4)))],
    }),
  },
  {
    name: "names that are cut off",
    want: "refuse",
    leaf: leaf("root", {
      extensions: [extendedKeyUsage(SERVER), extension("2.5.29.17", Uint8Array.of(0x30, 0x10, 0x82, 0x0e, 0x6e))],
    }),
  },
  named("a zero byte after the name", "refuse", [`DNS:${HOST}\0`]),
  named("a zero byte before another domain", "refuse", [`DNS:${HOST}\0.evil.example`]),
  named("a name that is not ASCII", "refuse", ["DNS:n1.exämple.org"]),
  named("a name that is not ASCII, and a valid one", "refuse", [`DNS:${HOST}`, "DNS:n1.exämple.org"]),
  named("a final dot in the certificate", "refuse", [`DNS:${HOST}.`]),
  named("a final dot in the requested name", "accept", [`DNS:${HOST}`], `${HOST}.`),
  named("an empty name", "refuse", ["DNS:"]),
  named("an address of 5 octets", "refuse", [`DNS:${HOST}`, "IP:1.2.3.4/1.2.3.4"]),
  named("an IPv6 address", "accept", ["IP:::1"], "::1"),
  named("another IPv6 address", "refuse", ["IP:::2"], "::1"),
  named("an IPv6 address as a DNS name", "refuse", ["DNS:::1"], "::1"),
  named("an IPv4 address within IPv6", "accept", ["MAPPED:127.0.0.1"], "127.0.0.1"),
];

const SIZES: readonly Outline[] = [
  // rustls stops after six intermediates.
  { name: "eight intermediates", want: "accept", deno: "refuse", ...tower(8) },
  // This is our limit. Go counts only signatures; OpenSSL stops at a hundred certificates.
  { name: "nine intermediates", want: "refuse", go: "accept", node: "accept", ...tower(9) },
  named("two thousand names", "accept", [...manyNames(2_000), `DNS:${HOST}`]),
  {
    name: "two thousand names, each of them permitted",
    want: "accept",
    ...below(constrained(["DNS:example.org"]), {
      extensions: [extendedKeyUsage(SERVER), alternativeNames(...manyNames(2_000), `DNS:${HOST}`)],
    }),
  },
  {
    name: "a thousand unknown extensions",
    want: "accept",
    ...leafWith(
      ...Array.from({ length: 1_000 }, (_, index) => extension(`${UNKNOWN}.${index}`)),
    ),
  },
];

export const CHAIN_ODDITIES: readonly Outline[] = [
  ...DATES,
  ...USAGES.map((one) => ({ ...one, name: `usages: ${one.name}` })),
  ...SIGNATURES,
  ...SERIALS,
  ...KEY_IDS,
  ...NAME_CONSTRAINTS.map((one) => ({ ...one, name: `name constraints: ${one.name}` })),
  ...HOSTS.map((one) => ({ ...one, name: `host: ${one.name}` })),
  ...SIZES,
];
