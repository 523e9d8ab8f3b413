/**
 * The names in certificates as text, without DER: the fields of a subject, URIs, DNS names and mail addresses. URIs are
 * accepted and rewritten as Go's `net/url` does. Policies and profiles compare DNS names in the plain lower-case form.
 */
import { parseIpAddress } from "../../lib/ip_address.ts";
import { err, ok, type Result } from "../../lib/result.ts";

/** The fields, in the order in which a certificate's subject is written (Go `crypto/x509/pkix` Name.ToRDNSequence). */
export const ATTRIBUTE_TYPES = [
  { oid: "2.5.4.6", field: "countries", short: "C" },
  { oid: "2.5.4.8", field: "provinces", short: "ST" },
  { oid: "2.5.4.7", field: "localities", short: "L" },
  { oid: "2.5.4.9", field: "streetAddresses", short: "STREET" },
  { oid: "2.5.4.17", field: "postalCodes", short: "POSTALCODE" },
  { oid: "2.5.4.10", field: "organizations", short: "O" },
  { oid: "2.5.4.11", field: "organizationalUnits", short: "OU" },
  { oid: "2.5.4.3", field: "commonName", short: "CN" },
  { oid: "2.5.4.5", field: "serialNumber", short: "SERIALNUMBER" },
] as const;

/** A URI in the form in which Go writes it into a certificate, or its fault. */
type ParsedUri = { readonly text: string } | { readonly fault: string };

/** The longest URL in a certificate. Every certificate contains it, and some programs cannot read longer ones. */
export const MAX_URL_LENGTH = 1_024;

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const CONTROL = /\p{Cc}/u;
const CONTROLS = /\p{Cc}/gu;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2}).{0,2}/;
/** The characters that Go's `net/url` always escapes in a path or fragment. */
const UNSAFE = /[ "<>\\^`{|}]/g;

/** Parses the ASCII text of a URI name (RFC 5280 §4.2.1.6). */
export function parseUri(text: string): ParsedUri {
  const fail = (why: string): ParsedUri => ({
    fault: `x509: cannot parse URI ${JSON.stringify(text)}: parse ${JSON.stringify(text)}: ${why}`,
  });
  const hash = text.indexOf("#");
  const whole = hash < 0 ? text : text.slice(0, hash);
  const fragment = hash < 0 ? "" : text.slice(hash + 1);
  if (CONTROL.test(whole)) return fail("net/url: invalid control character in URL");
  if (whole.startsWith(":")) return fail("missing protocol scheme");

  const scheme = SCHEME.exec(whole)?.[0] ?? "";
  const afterScheme = whole.slice(scheme.length);
  const question = afterScheme.indexOf("?");
  const hierarchy = question < 0 ? afterScheme : afterScheme.slice(0, question);
  const query = question < 0 ? "" : afterScheme.slice(question);
  const start = scheme.toLowerCase();
  if (!hierarchy.startsWith("/")) {
    // URIs such as `mailto:someone` and `urn:…` are kept unchanged.
    if (scheme !== "") return withFragment(start + hierarchy + query, fragment, fail);
    if ((hierarchy.split("/", 1)[0] ?? "").includes(":")) {
      return fail("first path segment in URL cannot contain colon");
    }
  }
  const hasAuthority = hierarchy.startsWith("//") && (scheme !== "" || !hierarchy.startsWith("///"));
  const slash = hasAuthority ? hierarchy.indexOf("/", 2) : 0;
  const authority = !hasAuthority ? "" : hierarchy.slice(0, slash < 0 ? undefined : slash);
  const path = hasAuthority && slash < 0 ? "" : hierarchy.slice(slash);
  const hostFault = hasAuthority ? findAuthorityFault(authority.slice(2), /^https?:$/.test(start)) : undefined;
  if (hostFault !== undefined) return fail(hostFault);
  const host = authority.slice(2).split("@").at(-1) ?? "";
  if (host !== "" && !isHostName(host)) {
    return { fault: `x509: cannot parse URI ${JSON.stringify(text)}: invalid domain` };
  }
  const escape = BAD_ESCAPE.exec(path);
  if (escape !== null) return fail(`invalid URL escape ${JSON.stringify(escape[0])}`);
  return withFragment(start + authority + path.replace(UNSAFE, percent) + query, fragment, fail);
}

/**
 * Reports whether a text can be the URL of a revocation list, or of another document about a CA. RFC 5280 §4.2.1.13 names
 * http and ldap; https is accepted, although a client may need the list to check the certificate of that server.
 */
export function isDocumentUrl(text: string): boolean {
  return text.length <= MAX_URL_LENGTH && /^(?:https?|ldap):\/\/[\x21-\x7e]+$/.test(text) && URL.canParse(text);
}

function withFragment(text: string, fragment: string, fail: (why: string) => ParsedUri): ParsedUri {
  const escape = BAD_ESCAPE.exec(fragment);
  if (escape !== null) return fail(`invalid URL escape ${JSON.stringify(escape[0])}`);
  const escaped = fragment.replace(UNSAFE, percent).replace(CONTROLS, percent);
  return { text: escaped === "" ? text : `${text}#${escaped}` };
}

/** Finds the fault of an authority. Go allows several colons in the hosts of databases, but not in those of web servers. */
function findAuthorityFault(authority: string, isWeb: boolean): string | undefined {
  const at = authority.lastIndexOf("@");
  if (at >= 0 && !/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(authority.slice(0, at))) {
    return "net/url: invalid userinfo";
  }
  const host = authority.slice(at + 1);
  const bracket = host.startsWith("[") ? host.lastIndexOf("]") : undefined;
  if (bracket === -1) return "missing ']' in host";
  const colon = bracket !== undefined ? bracket + 1 : isWeb ? host.indexOf(":") : host.lastIndexOf(":");
  const port = colon < 0 ? "" : host.slice(colon);
  if (port !== "" && !/^:[0-9]*$/.test(port)) return `invalid port ${JSON.stringify(port)} after host`;
  const escape = BAD_ESCAPE.exec(host);
  if (escape !== null) return `invalid URL escape ${JSON.stringify(escape[0])}`;
  const bad = /[ \\^`{|}/]/.exec(host);
  return bad === null ? undefined : `invalid character ${JSON.stringify(bad[0])} in host name`;
}

/** Go's `domainNameValid` as of 1.26: visible ASCII, no empty label, no final dot. */
function isHostName(host: string): boolean {
  return /^[!-~]+$/.test(host) && !host.split(".").includes("");
}

function percent(char: string): string {
  return "%" + char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Finds out why a name cannot be compared; undefined when it is a plain lower-case name. */
export function findDnsNameFault(name: string): string | undefined {
  if (name.includes("*")) return `"${name}" is a wildcard`;
  if (name.endsWith(".")) return `"${name}" ends with a dot`;
  if (parseIpAddress(name) !== undefined) return `"${name}" is an address, not a DNS name`;
  if (name !== name.toLowerCase()) return `"${name}" is not in lower case`;
  if (name.length > 253 || !name.split(".").every((label) => LABEL.test(label))) return `"${name}" is not a DNS name`;
  return undefined;
}

/** Parses a DNS name that is the base of a subtree, and returns it in lower case. */
export function parseDnsSubtree(text: string): Result<string, string> {
  const name = text.startsWith(".") ? text.slice(1) : text;
  if (name.startsWith("*")) return err("leave the asterisk out: example.org covers itself and every name below it");
  if (isDomain(name)) return ok(text.toLowerCase());
  return err("want a domain such as example.org, or .example.org for only the names below it");
}

/** Reports whether a text is a host name whose labels have at most 63 characters, as Go's name constraints require. */
export function isDomain(text: string): boolean {
  return isHostName(text) && text.split(".").every((label) => label.length <= 63);
}

const ATOM = "[!#-'*+\\-/-9=?A-Z^-~]+";
const DOT_ATOM = `${ATOM}(?:\\.${ATOM})*`;
const QUOTED_CHARACTER = "(?:[ \\t!#-\\[\\]-~]|\\\\[ \\t!-~])";
const LITERAL = "\\[([!-Z^-~]*)\\]";
const SPEC = `(?:${DOT_ATOM}|"${QUOTED_CHARACTER}+")@[ \\t]*(?:${DOT_ATOM}|${LITERAL})`;
const NAME = `(?:[!#-'*+\\--9=?A-Z^-~ \\t]|"${QUOTED_CHARACTER}*")*`;

/** A mail address without a name, such as `a@example.com`. */
const ADDRESS = new RegExp(`^[ \\t]*${SPEC}[ \\t]*$`);
/** A mail address after a name, such as `Ann <a@example.com>`. */
const NAMED_ADDRESS = new RegExp(`^${NAME}<[ \\t]*${SPEC}>[ \\t]*$`);

/** Reports whether a text in ASCII is one mail address, with or without the name of its owner. */
export function isMailAddress(text: string): boolean {
  const match = ADDRESS.exec(text) ?? NAMED_ADDRESS.exec(text);
  if (match === null) return false;
  const literal = match[1];
  return literal === undefined || parseIpAddress(literal) !== undefined;
}
