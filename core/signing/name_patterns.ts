/**
 * Patterns of names in a profile. A star never crosses what separates the parts of a name, so that `*.example.com` is one
 * label and `spiffe://example.com/*` one segment; two stars cross it, where that cannot mislead.
 */
import { matchesDeepPattern } from "../lib/pattern.ts";
import { isWithin, parseCidr } from "../pki/cidr.ts";
import { parseIpAddress } from "../pki/ip_address.ts";
import { findDnsNameFault } from "../pki/dns_name.ts";

/** A common name: a star stays within one label, since many read a host name there. */
export function matchesCommonName(value: string, pattern: string): boolean {
  return matchesDeepPattern(value, pattern, ".");
}

/** Any other text of a subject. */
export function matchesSubjectText(value: string, pattern: string): boolean {
  return matchesDeepPattern(value, pattern, "");
}

/**
 * A DNS name, in lower case and without a dot at the end. A wildcard name needs `wildcards`, and a pattern whose first
 * label is all stars.
 */
export function matchesDnsName(value: string, pattern: string, wildcards: boolean): boolean {
  const isWildcard = value.startsWith("*.");
  if (isWildcard && !(wildcards && (pattern.startsWith("*.") || pattern.startsWith("**.")))) return false;
  const plain = isWildcard ? `x${value.slice(1)}` : value;
  return findDnsNameFault(plain) === undefined && matchesDeepPattern(plain, pattern, ".");
}

/** An address within a range. */
export function matchesIpRange(value: string, range: string): boolean {
  const bytes = parseIpAddress(value);
  const parsed = parseCidr(range);
  return bytes !== undefined && parsed !== undefined && isWithin(bytes, parsed);
}

/** A URI; what a star stands for can be neither a host's nor a path's turning, nor escaped. */
export function matchesUri(value: string, pattern: string): boolean {
  if (value === pattern && !pattern.includes("*")) return true;
  const [, path = ""] = /^[^:]*:(?:\/\/)?(.*)$/.exec(value) ?? [];
  const segments = path.split("/");
  const isPlain = !/[%\\?#@]/.test(value) && !segments.some((segment) => segment === "." || segment === "..") &&
    !segments.slice(1, -1).includes("");
  return isPlain && matchesDeepPattern(value, pattern, "/:[]");
}

/** An e-mail address; a star stands for neither an at sign nor what needs quotes. */
export function matchesEmail(value: string, pattern: string): boolean {
  if (value === pattern && !pattern.includes("*")) return true;
  return /^[^\s"(),:;<>@[\\\]]+@[^\s"(),:;<>@[\\\]]+$/.test(value) && matchesDeepPattern(value, pattern, "@");
}

/** Says what keeps a pattern of DNS names from meaning anything; undefined when it is one. */
export function findDnsPatternFault(pattern: string): string | undefined {
  const [first = "", ...rest] = pattern.split(".");
  if (rest.some((label) => label.includes("**")) || (first.includes("**") && first !== "**")) {
    return `"${pattern}": ** stands for whole labels, and only in front, as in **.example.com`;
  }
  if (pattern.startsWith("**") && rest.length === 0) return `"${pattern}" lets every name through; name a domain`;
  const fault = findDnsNameFault(pattern.replaceAll("**", "x").replaceAll("*", "x"));
  return fault === undefined ? undefined : `"${pattern}" is not a pattern of DNS names in lower case`;
}

/** The same for URIs. */
export function findUriPatternFault(pattern: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:/.test(pattern)) return `"${pattern}" does not begin with a scheme, such as spiffe://`;
  const deep = pattern.indexOf("**");
  if (
    deep >= 0 && !(deep === pattern.length - 2 && pattern.at(deep - 1) === "/" && deep > pattern.indexOf("://") + 3)
  ) {
    return `"${pattern}": ** stands for the rest of a path, and only at its end, as in spiffe://example.com/**`;
  }
  return undefined;
}

/** The same for e-mail addresses. */
export function findEmailPatternFault(pattern: string): string | undefined {
  const parts = pattern.split("@");
  const isAddress = parts.length === 2 && parts.every((part) => part !== "") && !pattern.includes("**");
  return isAddress ? undefined : `"${pattern}" is not a pattern of e-mail addresses, such as *@example.com`;
}
