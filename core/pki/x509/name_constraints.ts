/**
 * Name constraints (RFC 5280 §4.2.1.10): the DNS names, addresses, mailboxes and URIs for which a CA and the CAs below
 * it may issue. They are parsed, encoded and checked as in Go (`crypto/x509/constraints.go`), which does not support
 * constraints on directory names and other kinds.
 */
import { type Bytes, contextTag, DerError, DerReader, TAG, withText } from "../asn1/der.ts";
import { decodeAscii } from "../asn1/der_text.ts";
import { encodeSequence, encodeValue } from "../asn1/der_writer.ts";
import { type AlternativeNames, GENERAL_NAME_TAG } from "./subject_alternative_names.ts";
import { isDomain } from "./name_syntax.ts";
import { formatCidr, isWithin, parseCidr, parseIpAddress } from "../../lib/ip_address.ts";
import { encodeHex } from "../../lib/encodings.ts";

/** The subtrees of a constraint, by kind of name. */
export interface NameSubtrees {
  /** `example.org` is the domain and all its subdomains, `.example.org` only the subdomains, the empty text every name. */
  readonly dnsNames: readonly string[];
  /** The permitted or excluded ranges, such as `10.0.0.0/8`. */
  readonly ipRanges: readonly string[];
  /** A mailbox, or a domain in the forms of `dnsNames`. */
  readonly emailAddresses: readonly string[];
  /** Hosts, in the forms of `dnsNames`. */
  readonly uris: readonly string[];
}

/** The names for which a CA may issue. Without a permitted subtree of a kind, all names of the kind are permitted. */
export interface NameConstraints {
  readonly permitted: NameSubtrees;
  readonly excluded: NameSubtrees;
}

export const NO_SUBTREES: NameSubtrees = Object.freeze({ dnsNames: [], ipRanges: [], emailAddresses: [], uris: [] });

/**
 * Creates constraints that permit DNS names and address ranges. An empty list leaves its kind unconstrained; undefined
 * when both are empty.
 */
export function permitNames(dnsNames: readonly string[], ipRanges: readonly string[]): NameConstraints | undefined {
  if (dnsNames.length + ipRanges.length === 0) return undefined;
  return { permitted: { ...NO_SUBTREES, dnsNames, ipRanges }, excluded: NO_SUBTREES };
}

/** The largest number of comparisons per certificate, which limits the cost of a hostile one. */
const MAX_COMPARISONS = 250_000;

const PERMITTED = contextTag(0, true);
const EXCLUDED = contextTag(1, true);
const INVALID = "x509: invalid NameConstraints extension";
const ASCII = new TextEncoder();

/** Parses the extension's value; throws `DerError` in Go's words. `isUnderstood` is false when a kind was skipped. */
export function parseNameConstraints(value: Bytes): NameConstraints & { readonly isUnderstood: boolean } {
  const [permitted, excluded] = withText(INVALID, () => {
    const outer = new DerReader(value);
    const reader = outer.enter(TAG.sequence, "NameConstraints");
    const both = [reader.readOptional(PERMITTED), reader.readOptional(EXCLUDED)] as const;
    reader.expectEnd();
    outer.expectEnd();
    return both;
  });
  const isEmpty = (permitted?.content.length ?? 0) === 0 && (excluded?.content.length ?? 0) === 0;
  if (isEmpty) throw new DerError("x509: empty name constraints extension");
  const [inside, outside] = [readSubtrees(permitted?.content), readSubtrees(excluded?.content)];
  return {
    permitted: inside.subtrees,
    excluded: outside.subtrees,
    isUnderstood: inside.isUnderstood && outside.isUnderstood,
  };
}

/** Encodes the extension's value; the caller has validated the subtrees. */
export function encodeNameConstraints({ permitted, excluded }: NameConstraints): Bytes {
  const parts = [[PERMITTED, permitted], [EXCLUDED, excluded]] as const;
  return encodeSequence(
    ...parts.flatMap(([tag, subtrees]) => {
      const bases = encodeBases(subtrees);
      return bases.length === 0 ? [] : [encodeValue(tag, ...bases.map((base) => encodeSequence(base)))];
    }),
  );
}

/** Finds a name for which a CA with these constraints may not issue, in Go's words; undefined when there is none. */
export function findNameFault(constraints: NameConstraints, names: AlternativeNames): string | undefined {
  const kinds = groupByKind(names);
  const { permitted, excluded } = constraints;
  let comparisons = 0;
  for (const { key, texts } of kinds) comparisons += texts.length * (permitted[key].length + excluded[key].length);
  if (comparisons > MAX_COMPARISONS) return "too many name constraints";
  for (const { key, what, texts, comparable } of kinds) {
    const isConstrained = permitted[key].length > 0 || excluded[key].length > 0;
    for (const text of texts) {
      // Go also refuses a URI that it cannot compare when the CA constrains only other kinds of names.
      if (!isConstrained && (key !== "uris" || readUriHost(text) !== undefined)) continue;
      const name = comparable(text);
      if (name === undefined) return `${what} "${text}" cannot be matched against constraints`;
      if (permitted[key].length > 0 && !permitted[key].some((subtree) => matches(key, name, subtree, false))) {
        return `${what} "${text}" is not permitted by any constraint`;
      }
      const hit = excluded[key].find((subtree) => matches(key, name, subtree, true));
      if (hit !== undefined) return `${what} "${text}" is excluded by constraint "${hit}"`;
    }
  }
  return undefined;
}

/** Finds a constraint of a CA or its issuers that forbids one of the names; undefined when there is none. */
export function findIssuersFault(
  issuers: readonly { readonly nameConstraints?: NameConstraints | undefined }[],
  names: AlternativeNames,
): string | undefined {
  for (const { nameConstraints } of issuers) {
    const fault = nameConstraints === undefined ? undefined : findNameFault(nameConstraints, names);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Finds a subtree of DNS names or addresses that a CA with these constraints cannot permit; undefined without one. */
export function findSubtreeFault(
  { permitted, excluded }: NameConstraints,
  subtrees: Pick<NameSubtrees, "dnsNames" | "ipRanges">,
): string | undefined {
  for (const [key, isInside] of [["dnsNames", isBelow], ["ipRanges", isRangeWithin]] as const) {
    for (const subtree of subtrees[key]) {
      const isIn = (other: string): boolean => isInside(subtree.toLowerCase(), other.toLowerCase(), false);
      if (permitted[key].length > 0 && !permitted[key].some(isIn)) return `"${subtree}" is not permitted`;
      if (excluded[key].some(isIn)) return `"${subtree}" is excluded`;
    }
  }
  return undefined;
}

function isRangeWithin(inner: string, outer: string): boolean {
  const [range, limit] = [parseCidr(inner), parseCidr(outer)];
  if (range === undefined || limit === undefined) return false;
  return range.prefixBits >= limit.prefixBits && isWithin(range.bytes, limit);
}

type Kind = keyof NameSubtrees;

interface NamesOfKind {
  readonly key: Kind;
  readonly what: string;
  readonly texts: readonly string[];
  /** Extracts the part that is compared; undefined when the name cannot be compared. */
  readonly comparable: (text: string) => string | undefined;
}

function groupByKind(names: AlternativeNames): readonly NamesOfKind[] {
  return [
    { key: "ipRanges", what: "IP address", texts: names.ipAddresses, comparable: (text) => text },
    {
      key: "dnsNames",
      what: "DNS name",
      texts: names.dnsNames,
      comparable: (text) => (isDomain(text) ? text.toLowerCase() : undefined),
    },
    { key: "uris", what: "URI", texts: names.uris, comparable: getComparableUriHost },
    { key: "emailAddresses", what: "email address", texts: names.emailAddresses, comparable: parseMailbox },
  ];
}

function matches(key: Kind, name: string, subtree: string, isExclusion: boolean): boolean {
  if (key === "ipRanges") return isInRange(name, subtree);
  if (key !== "emailAddresses") return isBelow(name, subtree.toLowerCase(), isExclusion);
  if (subtree.includes("@")) return name === parseMailbox(subtree);
  return isBelow(name.slice(name.lastIndexOf("@") + 1), subtree.toLowerCase(), isExclusion);
}

function isInRange(address: string, subtree: string): boolean {
  const bytes = parseIpAddress(address);
  const range = parseCidr(subtree);
  return bytes !== undefined && range !== undefined && isWithin(bytes, range);
}

/** Reports whether a name is in a subtree. A wildcard is excluded when a name that it matches is. */
function isBelow(name: string, subtree: string, isExclusion: boolean): boolean {
  if (subtree === "") return true;
  if (subtree.startsWith(".") ? name.endsWith(subtree) : name === subtree || name.endsWith(`.${subtree}`)) return true;
  return isExclusion && name.startsWith("*.") && name.slice(1) === subtree.slice(subtree.indexOf("."));
}

/** Extracts the host of a URI that is compared with constraints on URIs, which must be a domain. */
function getComparableUriHost(text: string): string | undefined {
  const host = readUriHost(text);
  return host !== undefined && isDomain(host) ? host : undefined;
}

/** Reads the host of a URI; undefined for an address or no host, which constraints cannot express. */
function readUriHost(text: string): string | undefined {
  const authority = /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?\/\/([^/?#]*)/.exec(text)?.[1] ?? "";
  const host = authority.slice(authority.lastIndexOf("@") + 1).toLowerCase();
  const name = host.replace(/:\d*$/, "");
  return host === "" || name.startsWith("[") || parseIpAddress(name) !== undefined ? undefined : name;
}

/** Parses a mailbox; the part before the last `@` is compared unchanged, the domain in lower case. */
function parseMailbox(text: string): string | undefined {
  const at = text.lastIndexOf("@");
  const domain = text.slice(at + 1).toLowerCase();
  return at > 0 && isDomain(domain) ? `${text.slice(0, at)}@${domain}` : undefined;
}

function readSubtrees(content: Bytes | undefined): { readonly subtrees: NameSubtrees; readonly isUnderstood: boolean } {
  const dnsNames: string[] = [];
  const ipRanges: string[] = [];
  const emailAddresses: string[] = [];
  const uris: string[] = [];
  let isUnderstood = true;
  const reader = new DerReader(content ?? new Uint8Array(0));
  while (!reader.isAtEnd()) {
    const base = withText(INVALID, () => reader.enter(TAG.sequence, "GeneralSubtree").readAny());
    if (base.tag === GENERAL_NAME_TAG.dns) dnsNames.push(readDomain(base.content, "dnsName"));
    else if (base.tag === GENERAL_NAME_TAG.ip) ipRanges.push(readRange(base.content));
    else if (base.tag === GENERAL_NAME_TAG.email) emailAddresses.push(readMailbox(base.content));
    else if (base.tag === GENERAL_NAME_TAG.uri) uris.push(readHost(base.content));
    else isUnderstood = false;
  }
  return { subtrees: Object.freeze({ dnsNames, ipRanges, emailAddresses, uris }), isUnderstood };
}

function readText(content: Bytes): string {
  const text = decodeAscii(content);
  if (text === undefined) throw new DerError("x509: invalid constraint value: not an IA5String");
  return text;
}

function readDomain(content: Bytes, kind: string): string {
  const text = readText(content);
  if (text !== "" && !isDomain(text.startsWith(".") ? text.slice(1) : text)) {
    throw new DerError(`x509: failed to parse ${kind} constraint ${JSON.stringify(text)}`);
  }
  return text;
}

function readMailbox(content: Bytes): string {
  const text = readText(content);
  if (!text.includes("@")) return readDomain(content, "rfc822Name");
  if (parseMailbox(text) !== undefined) return text;
  throw new DerError(`x509: failed to parse rfc822Name constraint ${JSON.stringify(text)}`);
}

function readHost(content: Bytes): string {
  const text = readText(content);
  if (parseIpAddress(text) === undefined) return readDomain(content, "URI");
  throw new DerError(`x509: failed to parse URI constraint ${JSON.stringify(text)}: cannot be IP address`);
}

function readRange(content: Bytes): string {
  const width = content.length / 2;
  if (width !== 4 && width !== 16) {
    throw new DerError(`x509: IP constraint contained value of length ${content.length}`);
  }
  const mask = content.subarray(width);
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  if (!/^1*0*$/.test(bits)) {
    throw new DerError(`x509: IP constraint contained invalid mask ${encodeHex(mask)}`);
  }
  return formatCidr({
    bytes: content.slice(0, width),
    prefixBits: bits.indexOf("0") < 0 ? width * 8 : bits.indexOf("0"),
  });
}

function encodeBases(subtrees: NameSubtrees): readonly Bytes[] {
  return [
    ...subtrees.dnsNames.map((name) => encodeValue(GENERAL_NAME_TAG.dns, ASCII.encode(name))),
    ...subtrees.ipRanges.map((range) => encodeValue(GENERAL_NAME_TAG.ip, encodeRange(range))),
    ...subtrees.emailAddresses.map((address) => encodeValue(GENERAL_NAME_TAG.email, ASCII.encode(address))),
    ...subtrees.uris.map((host) => encodeValue(GENERAL_NAME_TAG.uri, ASCII.encode(host))),
  ];
}

/** Encodes address and mask one after the other. */
function encodeRange(text: string): Uint8Array {
  const range = parseCidr(text);
  if (range === undefined) throw new DerError(`x509: failed to parse IP constraint ${JSON.stringify(text)}`);
  const { bytes, prefixBits } = range;
  const mask = bytes.map((_, index) => 0xff00 >> Math.max(0, Math.min(8, prefixBits - index * 8)));
  return Uint8Array.from([...bytes, ...mask]);
}
