/** IP addresses of subject alternative names: bytes ⇄ canonical text (RFC 5952, as Go's `net.IP` prints). */
import { isIP, isIPv4 } from "node:net";
import type { Bytes } from "./der.ts";

/** Formats 4 or 16 bytes as canonical text; an IPv4-mapped IPv6 address is printed as IPv4. */
export function formatIpAddress(bytes: Bytes): string {
  if (bytes.length === 4) return bytes.join(".");
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (isMapped) return bytes.subarray(12).join(".");
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0));
  const { start, length } = findLongestZeroRun(groups);
  if (length < 2) return groups.map(formatGroup).join(":");
  return `${groups.slice(0, start).map(formatGroup).join(":")}::${
    groups.slice(start + length).map(formatGroup).join(":")
  }`;
}

/** Converts an address into canonical text; undefined when it is malformed. */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIpAddress(text);
  return bytes === undefined ? undefined : formatIpAddress(bytes);
}

/** Parses an address without a zone into 4 or 16 bytes; IPv4-mapped ones become 4. Undefined when it is malformed. */
export function parseIpAddress(text: string): Bytes | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split(".").map(Number));
  if (isIP(text) !== 6 || text.includes("%")) return undefined;
  const [head = "", tail] = text.split("::");
  const front = parseGroups(head);
  const back = tail === undefined ? [] : parseGroups(tail);
  const bytes = new Uint8Array(16);
  bytes.set(front, 0);
  bytes.set(back, 16 - back.length);
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped ? bytes.slice(12) : bytes;
}

function formatGroup(group: number): string {
  return group.toString(16);
}

/** The longest run of zero groups, the first of equals (RFC 5952 §4.2). */
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

/** Bytes of colon-separated groups; the last one may be a dotted IPv4 address. */
function parseGroups(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
