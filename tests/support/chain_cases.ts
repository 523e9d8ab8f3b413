/**
 * Valid and invalid certification paths, with the verdict of RFC 5280 (section 6) and, for names, of RFC 6125, in the
 * manner of x509-limbo. In each case, a TLS server sends `chain` to a client that trusts `roots` and connects to
 * `host`.
 */
import { generatePrivateKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import { CHAIN_ODDITIES } from "./chain_oddities.ts";
import { craftRsaKey } from "./crafted_rsa.ts";
import {
  AUTHORITY,
  authority,
  below,
  CERT_SIGN,
  CLIENT,
  constrained,
  CRL_SIGN,
  type Draft,
  HOST,
  identified,
  LEAF,
  leaf,
  limited,
  lower,
  manyNames,
  named,
  NAMES,
  type OtherVerdicts,
  type Outline,
  root,
  SERVER,
  tower,
  twins,
  UNKNOWN,
  upper,
  type Verdict,
} from "./chain_drafts.ts";
import {
  alternativeNames,
  authorityKeyId,
  basicConstraints,
  encodeOddCertificate,
  extendedKeyUsage,
  extension,
  keyUsage,
  markCritical,
  nameConstraints,
  type OddCertificate,
  type OddKey,
  subjectKeyId,
} from "./odd_certificate.ts";

export interface ChainCase extends OtherVerdicts {
  readonly name: string;
  /** The verdict of our own verification, and of every verifier without a different one. */
  readonly want: Verdict;
  /** The DER of the leaf and of the other certificates that the server sends, in order. */
  readonly chain: readonly Bytes[];
  readonly roots: readonly Bytes[];
  /** The DNS name or address to which the client connects. */
  readonly host: string;
  /** The key of the leaf. */
  readonly key: PrivateKey;
}

const PATHS: readonly Outline[] = [
  { name: "a root and its leaf", want: "accept" },
  { name: "one intermediate", want: "accept", ...below(upper) },
  { name: "two intermediates", want: "accept", leaf: leaf("lower"), behind: [lower, upper] },
  { name: "intermediates out of order", want: "accept", leaf: leaf("lower"), behind: [upper, lower] },
  {
    name: "an unrelated certificate among the intermediates",
    want: "accept",
    leaf: leaf("upper"),
    behind: [authority("stranger", "elsewhere"), upper],
  },
  { name: "the root is sent too", want: "accept", leaf: leaf("upper"), behind: [upper, root] },
  { name: "an intermediate is trusted without its root", want: "accept", ...below(lower), roots: [upper] },
  { name: "six intermediates", want: "accept", ...tower(6) },
  {
    name: "two CAs with the same name, of which one signed",
    want: "accept",
    ...below(identified(upper, "upper", "root")),
    roots: [
      identified(authority("root", "root", { key: "another root", signer: "another root" }), "another root"),
      identified(root, "root"),
    ],
  },
  {
    name: "two certificates of the same CA, one of them expired",
    want: "accept",
    leaf: leaf("upper"),
    behind: [{ ...upper, from: -48, to: -24 }, upper],
  },
  { name: "an untrusted issuer", want: "refuse", leaf: leaf("elsewhere") },
  { name: "the intermediate is missing", want: "refuse", leaf: leaf("upper") },
  { name: "a leaf signed by another key", want: "refuse", leaf: leaf("root", { signer: "another root" }) },
  { name: "an intermediate signed by another key", want: "refuse", ...below({ ...upper, signer: "another root" }) },
  { name: "a leaf that signed itself", want: "refuse", leaf: leaf("leaf") },
  {
    name: "a ring of intermediates",
    want: "refuse",
    leaf: leaf("lower"),
    behind: [lower, authority("upper", "lower")],
  },
  { name: "twenty certificates of an untrusted CA", want: "refuse", leaf: leaf("twin"), behind: twins(20) },
  { name: "a signature with SHA-1", want: "refuse", leaf: leaf("root", { isSha1: true }) },
  { name: "different algorithms inside and outside", want: "refuse", leaf: leaf("root", { hasTwoAlgorithms: true }) },
];

const OLD_CA = identified(root, "old");

/** Creates cases of a server that sends its new CA, signed by the old one, to clients that trust either CA or both. */
function replaced(newName: string): readonly Outline[] {
  const newKey = { key: "new root", signer: "new root" };
  const newCa = identified(authority(newName, newName, newKey), "new");
  const shown = {
    leaf: leaf(newName, { signer: "new root", extensions: [...LEAF, authorityKeyId("new")] }),
    behind: [identified(authority(newName, "root", { key: "new root" }), "new", "old")],
  };
  const title = `a cross-signed CA of ${newName === "root" ? "the same" : "another"} name, for clients that trust`;
  return [
    { name: `${title} the old CA`, want: "accept", ...shown, roots: [OLD_CA] },
    { name: `${title} the new CA`, want: "accept", ...shown, roots: [newCa] },
    { name: `${title} both CAs`, want: "accept", ...shown, roots: [OLD_CA, newCa] },
    { name: `${title} both CAs, the new one first`, want: "accept", ...shown, roots: [newCa, OLD_CA] },
    {
      name: `${title} neither`,
      want: "refuse",
      ...shown,
      roots: [authority("root", "root", { key: "third", signer: "third" })],
    },
    { name: `${title} the old CA, without the cross-signed one`, want: "refuse", leaf: shown.leaf, roots: [OLD_CA] },
  ];
}

const DATES: readonly Outline[] = [
  { name: "a leaf that ends after 2050", want: "accept", leaf: leaf("root", { to: 24 * 366 * 30 }) },
  { name: "an expired leaf", want: "refuse", leaf: leaf("root", { from: -2, to: -1 }) },
  { name: "a leaf that is not valid yet", want: "refuse", leaf: leaf("root", { from: 1, to: 2 }) },
  { name: "an expired intermediate", want: "refuse", ...below({ ...upper, from: -2, to: -1 }) },
  { name: "an intermediate that is not valid yet", want: "refuse", ...below({ ...upper, from: 1, to: 2 }) },
];

const CONSTRAINTS: readonly Outline[] = [
  { name: "a path length that is not used up", want: "accept", ...below(limited(upper, 0)) },
  {
    name: "path lengths that are just enough",
    want: "accept",
    leaf: leaf("lower"),
    behind: [limited(lower, 0), limited(upper, 1)],
  },
  {
    name: "a CA that renews its key does not count",
    want: "accept",
    // Go and rustls count every CA; RFC 5280 §4.2.1.9 and OpenSSL do not.
    go: "refuse",
    deno: "refuse",
    leaf: leaf("upper", { signer: "renewed upper", extensions: [...LEAF, authorityKeyId("renewed")] }),
    behind: [
      identified(authority("upper", "upper", { key: "renewed upper" }), "renewed", "upper"),
      identified(limited(upper, 0), "upper"),
    ],
  },
  {
    name: "a CA below a path length of 0",
    want: "refuse",
    leaf: leaf("lower"),
    behind: [lower, limited(upper, 0)],
  },
  {
    name: "two CAs below a path length of 1",
    want: "refuse",
    leaf: leaf("lowest"),
    behind: [authority("lowest", "lower"), lower, limited(upper, 1)],
  },
  { name: "an intermediate that is not a CA", want: "refuse", ...below({ ...upper, extensions: LEAF }) },
  {
    name: "an intermediate with CA:FALSE",
    want: "refuse",
    ...below({ ...upper, extensions: [basicConstraints(false), keyUsage(CERT_SIGN)] }),
  },
  { name: "an intermediate of version 1", want: "refuse", ...below({ ...upper, version: 1 }) },
  {
    name: "an intermediate that may sign only CRLs",
    want: "refuse",
    ...below({ ...upper, extensions: [basicConstraints(true), keyUsage(CRL_SIGN)] }),
  },
  { name: "an intermediate without key usage", want: "accept", ...below({ ...upper, extensions: [AUTHORITY[0]!] }) },
  {
    name: "a leaf that issues a certificate",
    want: "refuse",
    leaf: leaf("lower"),
    behind: [{ ...lower, extensions: LEAF }, upper],
  },
];

const USAGES: readonly Outline[] = [
  { name: "a leaf without usages", want: "accept", leaf: leaf("root", { extensions: [NAMES] }) },
  {
    name: "a leaf for server and client",
    want: "accept",
    leaf: leaf("root", { extensions: [extendedKeyUsage(CLIENT, SERVER), NAMES] }),
  },
  { name: "a leaf for clients", want: "refuse", leaf: leaf("root", { extensions: [extendedKeyUsage(CLIENT), NAMES] }) },
  {
    name: "a leaf for time stamps",
    want: "refuse",
    leaf: leaf("root", { extensions: [extendedKeyUsage(8), NAMES] }),
  },
  {
    name: "an intermediate for servers",
    want: "accept",
    ...below({ ...upper, extensions: [...AUTHORITY, extendedKeyUsage(SERVER)] }),
  },
  {
    name: "an intermediate for clients",
    want: "refuse",
    ...below({ ...upper, extensions: [...AUTHORITY, extendedKeyUsage(CLIENT)] }),
  },
  {
    name: "an intermediate for clients above one for everything",
    want: "refuse",
    leaf: leaf("lower"),
    behind: [lower, { ...upper, extensions: [...AUTHORITY, extendedKeyUsage(CLIENT)] }],
  },
  {
    name: "an unknown extension",
    want: "accept",
    leaf: leaf("root", { extensions: [...LEAF, extension(UNKNOWN)] }),
  },
  {
    name: "an unknown critical extension in the leaf",
    want: "refuse",
    leaf: leaf("root", { extensions: [...LEAF, markCritical(extension(UNKNOWN))] }),
  },
  {
    name: "an unknown critical extension in the intermediate",
    want: "refuse",
    ...below({ ...upper, extensions: [...AUTHORITY, markCritical(extension(UNKNOWN))] }),
  },
  {
    name: "the same extension twice",
    want: "refuse",
    leaf: leaf("root", { extensions: [...LEAF, NAMES] }),
  },
  {
    name: "key identifiers that match",
    want: "accept",
    ...below({ ...upper, extensions: [...AUTHORITY, subjectKeyId("upper")] }, {
      extensions: [...LEAF, authorityKeyId("upper")],
    }),
  },
];

const NAME_CONSTRAINTS: readonly Outline[] = [
  { name: "a permitted domain", want: "accept", ...below(constrained(["DNS:example.org"])), host: HOST },
  { name: "a permitted domain in capitals", want: "accept", ...below(constrained(["DNS:EXAMPLE.org"])) },
  { name: "a permitted host", want: "accept", ...below(constrained([`DNS:${HOST}`])) },
  { name: "a permitted network", want: "accept", ...below(constrained(["IP:127.0.0.0/255.0.0.0"])), host: "127.0.0.1" },
  { name: "addresses below a CA that constrains domains", want: "accept", ...below(constrained(["DNS:example.org"])) },
  { name: "an unrelated excluded domain", want: "accept", ...below(constrained([], ["DNS:example.com"])) },
  { name: "a name that ends like the domain", want: "refuse", ...below(constrained(["DNS:1.example.org"])) },
  {
    name: "a URI without a host, below a CA that constrains domains",
    want: "refuse",
    // OpenSSL does not compare URIs with constraints on domains.
    node: "accept",
    ...below(constrained(["DNS:example.org"]), { extensions: [alternativeNames(`DNS:${HOST}`, "URI:urn:a:b")] }),
  },
  {
    name: "a URI of an address, below a CA that constrains domains",
    want: "refuse",
    // OpenSSL does not compare URIs with constraints on domains.
    node: "accept",
    ...below(constrained(["DNS:example.org"]), {
      extensions: [alternativeNames(`DNS:${HOST}`, "URI:https://127.0.0.1/")],
    }),
  },
  { name: "another domain is permitted", want: "refuse", ...below(constrained(["DNS:example.com"])) },
  { name: "the domain is excluded", want: "refuse", ...below(constrained([], ["DNS:example.org"])) },
  { name: "an excluded subdomain", want: "refuse", ...below(constrained(["DNS:org"], ["DNS:example.org"])) },
  { name: "another network is permitted", want: "refuse", ...below(constrained(["IP:10.0.0.0/255.0.0.0"])) },
  { name: "the network is excluded", want: "refuse", ...below(constrained([], ["IP:127.0.0.0/255.0.0.0"])) },
  {
    name: "one of several names is not permitted",
    want: "refuse",
    ...below(constrained(["DNS:example.org"]), {
      extensions: [alternativeNames(`DNS:${HOST}`, "DNS:elsewhere.example")],
    }),
  },
  {
    name: "constraints of a CA further up",
    want: "refuse",
    leaf: leaf("lower"),
    behind: [lower, constrained(["DNS:example.com"])],
  },
  {
    name: "a CA below the constraints has a name outside of them",
    want: "refuse",
    leaf: leaf("lower"),
    behind: [
      { ...lower, extensions: [...AUTHORITY, alternativeNames("DNS:elsewhere.example")] },
      constrained(["DNS:example.org"]),
    ],
  },
  {
    name: "a CA loosens the constraints of the one above it",
    want: "refuse",
    leaf: leaf("lower"),
    behind: [
      { ...lower, extensions: [...AUTHORITY, nameConstraints(["DNS:example.org"])] },
      constrained(["DNS:example.com"]),
    ],
  },
  {
    name: "constraints of the root",
    want: "refuse",
    roots: [{ ...root, extensions: [...AUTHORITY, nameConstraints(["DNS:example.com"])] }],
  },
  { name: "an unrelated permitted directory name", want: "refuse", ...below(constrained(["DIR:somebody"])) },
  {
    name: "too many comparisons of names with constraints",
    want: "refuse",
    // Since 1.26, Go sorts the names first.
    go: "accept",
    ...below(constrained(manyNames(1_100)), { extensions: [alternativeNames(`DNS:${HOST}`, ...manyNames(1_100))] }),
  },
];

const HOSTS: readonly Outline[] = [
  { name: "the address", want: "accept", host: "127.0.0.1" },
  named("a wildcard", "accept", ["DNS:*.example.org"]),
  named("capitals", "accept", ["DNS:N1.Example.ORG"]),
  named("one of several names", "accept", ["DNS:a.example", `DNS:${HOST}`]),
  {
    name: "no subject, and critical names",
    want: "accept",
    leaf: leaf("root", { subject: "", key: "leaf", extensions: [markCritical(NAMES)] }),
  },
  named("another name", "refuse", ["DNS:n2.example.org"]),
  named("a wildcard for two labels", "refuse", ["DNS:*.org"]),
  named("a wildcard below the host", "refuse", ["DNS:*.n1.example.org"]),
  named("a wildcard within a label", "refuse", ["DNS:n*.example.org"]),
  named("a bare wildcard", "refuse", ["DNS:*"]),
  named("an address alone", "refuse", ["IP:127.0.0.1"]),
  named("a URI alone", "refuse", [`URI:https://${HOST}`]),
  named("an e-mail address alone", "refuse", [`EMAIL:root@${HOST}`]),
  named("an address as a DNS name", "refuse", ["DNS:127.0.0.1"], "127.0.0.1"),
  named("another address", "refuse", ["IP:127.0.0.2"], "127.0.0.1"),
  named("no address", "refuse", [`DNS:${HOST}`], "127.0.0.1"),
  {
    name: "a common name alone",
    want: "refuse",
    leaf: leaf("root", { subject: HOST, key: "leaf", extensions: [extendedKeyUsage(SERVER)] }),
  },
  {
    name: "a common name in addition to other names",
    want: "refuse",
    leaf: leaf("root", { subject: HOST, key: "leaf", extensions: [alternativeNames("DNS:n2.example.org")] }),
  },
];

const OUTLINES: readonly Outline[] = [
  ...PATHS,
  ...["root", "new root"].flatMap(replaced),
  ...DATES,
  ...CONSTRAINTS,
  ...USAGES.map((one) => ({ ...one, name: `usages: ${one.name}` })),
  ...NAME_CONSTRAINTS.map((one) => ({ ...one, name: `name constraints: ${one.name}` })),
  ...HOSTS.map((one) => ({ ...one, name: `host: ${one.name}` })),
  ...CHAIN_ODDITIES,
];

const HOUR_MS = 3_600_000;

/** Keys that `generatePrivateKey` cannot make, by name. */
const CRAFTED: Readonly<Record<string, () => OddKey>> = {
  "RSA-1024": () => craftRsaKey(1_024),
  "RSA-2048 with exponent 3": () => craftRsaKey(2_048, 3n),
  "RSA-2048 with exponent 1": () => craftRsaKey(2_048, 1n),
  "RSA-7680": () => craftRsaKey(7_680),
  "RSA-8704": () => craftRsaKey(8_704),
  "RSA-16896": () => craftRsaKey(16_896),
};

/** Builds all cases; `now` is the time at which they are verified. */
export async function buildChainCases(now: Date): Promise<readonly ChainCase[]> {
  const keys = new Map<string, PrivateKey>();
  const crafted = new Map<string, OddKey>();
  const names = OUTLINES.flatMap(createDrafts).flatMap(({ subject, issuer, key, signer }) => [
    key ?? subject,
    signer ?? issuer,
  ]);
  for (const name of new Set(names)) {
    const craft = CRAFTED[name];
    if (craft === undefined) keys.set(name, await generatePrivateKey("ecdsa-p256"));
    else crafted.set(name, craft());
  }
  const getKey = (name: string): OddKey => keys.get(name) ?? crafted.get(name)!;
  let serial = 0;
  const encode = (draft: Draft): Bytes => {
    const { subject, issuer, from = -24, to = 24, version = 3, extensions, key = subject, signer = issuer } = draft;
    const own = ++serial;
    const odd: OddCertificate = {
      serial: Uint8Array.of(1, own >> 8, own & 0xff),
      ...draft,
      ...{ subject, issuer, version, extensions, key: getKey(key), signer: getKey(signer) },
      notBefore: new Date(now.getTime() + from * HOUR_MS),
      notAfter: new Date(now.getTime() + to * HOUR_MS),
    };
    return encodeOddCertificate(odd);
  };
  const encodedRoot = encode(root);
  return OUTLINES.map(
    ({ name, want, go = want, node = want, deno = want, openssl = node, host = HOST, ...outline }) => {
      const [own = leaf("root"), ...behind] = [outline.leaf ?? leaf("root"), ...outline.behind ?? []];
      return {
        ...{ name, want, go, node, deno, openssl, host },
        chain: [own, ...behind].map(encode),
        roots: outline.roots?.map(encode) ?? [encodedRoot],
        key: keys.get(own.key ?? own.subject)!,
      };
    },
  );
}

function createDrafts({ leaf: own = leaf("root"), behind = [], roots = [root] }: Outline): readonly Draft[] {
  return [own, ...behind, ...roots];
}
