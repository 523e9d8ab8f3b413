/** Networks in CIDR form (`apimachinery/pkg/util/validation/ip.go`). */
import { isIPv4, isIPv6 } from "node:net";
import { formatIpAddress, parseCidr, parseIpAddress } from "../../lib/ip_address.ts";
import { type FieldError, invalid } from "../status/field_error.ts";
import { goQuote } from "../../lib/quote.ts";

/** Faults of a network: it must be one, and written without leading zeros, a mapped IPv4 address or bits of a host. */
export function validateCidr(field: string, value: string): FieldError[] {
  const detail = cidrFault(value);
  return detail === undefined ? [] : [invalid(field, value, detail)];
}

/** Creates the warnings about a valid network: IPv6 addresses should be written as in RFC 5952. */
export function getWarningsForCidr(field: string, value: string): string[] {
  const { address, prefix } = split(value);
  const bytes = parseIpAddress(address);
  if (bytes?.length !== 16) return [];
  const canonical = `${formatIpAddress(bytes)}/${prefix}`;
  if (canonical === value) return [];
  const [is, should] = [goQuote(value), goQuote(canonical)];
  return [`${field}: IPv6 CIDR value ${is} should be in RFC 5952 canonical format (${should})`];
}

/** Finds the address family of a network, also of one that is not in canonical form; undefined for other text. */
export function networkFamily(value: string): 4 | 6 | undefined {
  const { address, prefix } = split(value);
  const plain = withoutLeadingZeros(address);
  if (plain.length > MAX_ADDRESS_LENGTH) return undefined;
  const width = isIPv4(plain) ? 32 : isIPv6(plain) && !plain.includes("%") ? 128 : 0;
  if (width === 0 || !/^\d+$/.test(prefix) || Number(prefix) > width) return undefined;
  return width === 32 || isMapped(plain) ? 4 : 6;
}

/** Characters of the longest address: six groups of an IPv6 address before the four numbers of an IPv4 one. */
const MAX_ADDRESS_LENGTH = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".length;

function cidrFault(value: string): string | undefined {
  if (networkFamily(value) === undefined) return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  const { address, prefix } = split(value);
  if (withoutLeadingZeros(address) !== address || /^0\d/.test(prefix)) {
    return "must not have leading 0s in IP or prefix length";
  }
  if (isMapped(address)) return "must not have an IPv4-mapped IPv6 address";
  return parseCidr(value) === undefined ? "must not have bits set beyond the prefix length" : undefined;
}

function split(value: string): { readonly address: string; readonly prefix: string } {
  const at = value.indexOf("/");
  return at < 0 ? { address: value, prefix: "" } : { address: value.slice(0, at), prefix: value.slice(at + 1) };
}

/** Go once read `010.0.0.1` as `10.0.0.1`. Only the numbers of an IPv4 address count: hexadecimal groups keep theirs. */
function withoutLeadingZeros(address: string): string {
  const start = address.lastIndexOf(":") + 1;
  const numbers = address.slice(start).split(".");
  if (numbers.length === 1) return address;
  return address.slice(0, start) + numbers.map((number) => number.replace(/^0+(?=\d)/, "")).join(".");
}

function isMapped(address: string): boolean {
  return address.includes(":") && parseIpAddress(address)?.length === 4;
}
