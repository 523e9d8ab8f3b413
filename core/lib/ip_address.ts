/** Converts IP addresses between bytes and canonical text (RFC 5952, as Go's `net.IP`), and handles ranges (RFC 4632). */
import { isIP, isIPv4 } from "node:net";
import { err, ok, type Result } from "./result.ts";

/** Formats 4 or 16 bytes as canonical text; an IPv4-mapped IPv6 address is printed as IPv4. */
export function formatIpAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (isMapped(bytes)) return bytes.subarray(12).join(".");
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0));
  const { start, length } = findLongestZeroRun(groups);
  if (length < 2) return groups.map(formatGroup).join(":");
  return `${groups.slice(0, start).map(formatGroup).join(":")}::${
    groups.slice(start + length).map(formatGroup).join(":")
  }`;
}

/** Removes the brackets around an IPv6 address in a URL. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

/** Converts an address into canonical text; undefined when it is malformed. */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIpAddress(text);
  return bytes === undefined ? undefined : formatIpAddress(bytes);
}

/** Parses an address without a zone into 4 or 16 bytes; IPv4-mapped ones become 4. Undefined when it is malformed. */
export function parseIpAddress(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split(".").map(Number));
  if (isIP(text) !== 6 || text.includes("%")) return undefined;
  const [head = "", tail] = text.split("::");
  const front = parseGroups(head);
  const back = tail === undefined ? [] : parseGroups(tail);
  const bytes = new Uint8Array(16);
  bytes.set(front, 0);
  bytes.set(back, 16 - back.length);
  return isMapped(bytes) ? bytes.slice(12) : bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function formatGroup(group: number): string {
  return group.toString(16);
}

/** Finds the longest run of zero groups, or the first of several (RFC 5952 §4.2). */
function findLongestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let at = 0; at <= groups.length; at++) {
    if (groups[at] === 0) continue;
    if (at - start > best.length) best = { start, length: at - start };
    start = at + 1;
  }
  return best;
}

/** Parses colon-separated groups into bytes; the last group may be a dotted IPv4 address. */
function parseGroups(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** A range such as `10.0.0.0/8`, or a single address: the first address, and the length of the prefix in bits. */
interface IpRange {
  readonly bytes: Uint8Array;
  readonly prefixBits: number;
}

/** Returns the network that one client controls: its IPv4 address, or the /64 of its IPv6 address. */
export function toClientNetwork(address: string): string {
  const bytes = parseIpAddress(address);
  return bytes?.length === 16 ? formatCidr({ bytes, prefixBits: 64 }) : address;
}

/** Parses a range; undefined when it is malformed, or when bits beyond the prefix are set. */
export function parseCidr(text: string): IpRange | undefined {
  const [address = "", prefix, ...rest] = text.split("/");
  const bytes = parseIpAddress(address);
  if (bytes === undefined || rest.length > 0) return undefined;
  const width = bytes.length * 8;
  if (prefix === undefined) return { bytes, prefixBits: width };
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > width) return undefined;
  const prefixBits = Number(prefix);
  return isWithin(bytes, { bytes: masked(bytes, prefixBits), prefixBits: width }) ? { bytes, prefixBits } : undefined;
}

/** Parses a range or one address of a setting, and returns the range in canonical form. */
export function parseNetwork(text: string): Result<string, string> {
  const range = parseCidr(text);
  if (range !== undefined) return ok(formatCidr(range));
  return err("want a range such as 10.0.0.0/8, without bits behind the prefix, or one address");
}

/** Formats a range with the bits beyond the prefix cleared; IPv4-mapped addresses become IPv4 addresses. */
export function formatCidr({ bytes, prefixBits }: IpRange): string {
  const base = masked(bytes, prefixBits);
  return `${formatIpAddress(base)}/${
    base.length === 16 && prefixBits >= 96 && isMapped(base) ? prefixBits - 96 : prefixBits
  }`;
}

/** Reports whether an address is in a range of its own family. */
export function isWithin(address: Uint8Array, { bytes, prefixBits }: IpRange): boolean {
  if (address.length !== bytes.length) return false;
  const cut = masked(address, prefixBits);
  return cut.every((byte, index) => byte === bytes[index]);
}

/** Reports whether an address is in a range, both as text. */
export function isInNetwork(address: string, network: string): boolean {
  const [bytes, range] = [parseIpAddress(address), parseCidr(network)];
  return bytes !== undefined && range !== undefined && isWithin(bytes, range);
}

/** Loopback and unspecified addresses, which are the same on every machine. */
const LOCAL_RANGES = parseRanges("127.0.0.0/8", "0.0.0.0/8", "::1", "::");
/** Link-local and multicast addresses, which several machines may use. */
const SHARED_RANGES = parseRanges("169.254.0.0/16", "224.0.0.0/4", "fe80::/10", "ff00::/8");

/** Reports whether an address is useless on another machine, because it is a loopback or unspecified address. */
export function isLocalAddress(address: Uint8Array): boolean {
  return LOCAL_RANGES.some((range) => isWithin(address, range));
}

/** Reports whether an address belongs to no single machine: it is local, link-local or multicast. */
export function isSharedAddress(address: Uint8Array): boolean {
  return isLocalAddress(address) || SHARED_RANGES.some((range) => isWithin(address, range));
}

function parseRanges(...texts: readonly string[]): readonly IpRange[] {
  return texts.flatMap((text) => parseCidr(text) ?? []);
}

function masked(bytes: Uint8Array, prefixBits: number): Uint8Array {
  return bytes.map((byte, index) => {
    const bits = Math.max(0, Math.min(8, prefixBits - index * 8));
    return byte & (0xff00 >> bits);
  });
}
