/** DNS names in the one spelling that policies and profiles compare. */
import { parseIpAddress } from "../lib/ip_address.ts";

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
