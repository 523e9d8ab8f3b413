/** DNS names: the one spelling that policies and profiles compare, and the domains of name constraints. */
import { parseIpAddress } from "../../lib/ip_address.ts";

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

/** Finds out why a DNS name cannot be the base of a subtree; undefined when it can. */
export function findDnsSubtreeFault(text: string): string | undefined {
  const name = text.startsWith(".") ? text.slice(1) : text;
  if (name === "") return "want a domain such as example.org";
  if (name.startsWith("*")) return "leave the asterisk out: example.org stands for itself and all below it";
  return isDomain(name) ? undefined : "want a domain such as example.org, or .example.org for what is below it alone";
}

/** Go's `domainNameValid`: visible ASCII, no empty label, no final dot, labels of at most 63 characters. */
export function isDomain(text: string): boolean {
  return /^[!-~]+$/.test(text) && text.split(".").every((label) => label.length > 0 && label.length <= 63);
}
