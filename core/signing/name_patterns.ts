/**
 * Patterns of names in a profile. `*` never crosses a separator, so it stands for one label in `*.example.com` and for one
 * segment in `spiffe://example.com/*`. `**` crosses separators, where that is safe.
 */
import { matchesDeepPattern } from "../lib/pattern.ts";
import { findDnsNameFault } from "../pki/x509/dns_name.ts";

/** Matches a common name. A star stays within one label, because many programs interpret it as a host name. */
export function matchesCommonName(value: string, pattern: string): boolean {
  return matchesDeepPattern(value, pattern, ".");
}

/** Matches any other text of a subject. */
export function matchesSubjectText(value: string, pattern: string): boolean {
  return matchesDeepPattern(value, pattern, "");
}

/**
 * Matches a DNS name, which must be in lower case and without a trailing dot. A wildcard name requires `wildcards` and a
 * pattern whose first label consists of stars.
 */
export function matchesDnsName(value: string, pattern: string, wildcards: boolean): boolean {
  const isWildcard = value.startsWith("*.");
  if (isWildcard && !(wildcards && (pattern.startsWith("*.") || pattern.startsWith("**.")))) return false;
  const plain = isWildcard ? `x${value.slice(1)}` : value;
  return findDnsNameFault(plain) === undefined && matchesDeepPattern(plain, pattern, ".");
}

/** Matches a URI. With a star, the URI must contain no escapes, no user, query or fragment, and no `.` or `..` segments. */
export function matchesUri(value: string, pattern: string): boolean {
  if (value === pattern && !pattern.includes("*")) return true;
  const [, path = ""] = /^[^:]*:(?:\/\/)?(.*)$/.exec(value) ?? [];
  const segments = path.split("/");
  const isPlain = !/[%\\?#@]/.test(value) && !segments.some((segment) => segment === "." || segment === "..") &&
    !segments.slice(1, -1).includes("");
  return isPlain && matchesDeepPattern(value, pattern, "/:[]");
}

/** Matches an e-mail address. A star stands neither for an at sign nor for characters that need quotes. */
export function matchesEmail(value: string, pattern: string): boolean {
  if (value === pattern && !pattern.includes("*")) return true;
  return /^[^\s"(),:;<>@[\\\]]+@[^\s"(),:;<>@[\\\]]+$/.test(value) && matchesDeepPattern(value, pattern, "@");
}

/** Finds the fault of a pattern of DNS names; undefined when it is valid. */
export function findDnsPatternFault(pattern: string): string | undefined {
  const [first = "", ...rest] = pattern.split(".");
  if (rest.some((label) => label.includes("**")) || (first.includes("**") && first !== "**")) {
    return `"${pattern}": ** stands for whole labels, and only in front, as in **.example.com`;
  }
  if (pattern.startsWith("**") && rest.length === 0) return `"${pattern}" allows every name; name a domain`;
  const fault = findDnsNameFault(pattern.replaceAll("**", "x").replaceAll("*", "x"));
  return fault === undefined ? undefined : `"${pattern}" is not a pattern of DNS names in lower case`;
}

/** Finds the fault of a pattern of URIs; undefined when it is valid. */
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

/** Finds the fault of a pattern of e-mail addresses; undefined when it is valid. */
export function findEmailPatternFault(pattern: string): string | undefined {
  const parts = pattern.split("@");
  const isAddress = parts.length === 2 && parts.every((part) => part !== "") && !pattern.includes("**");
  return isAddress ? undefined : `"${pattern}" is not a pattern of e-mail addresses, such as *@example.com`;
}
