/** Ranges of IP addresses (RFC 4632): `10.0.0.0/8`, `2001:db8::/32`, or one address. */
import { formatIpAddress, parseIpAddress } from "./ip_address.ts";

/** A range: its first address, and the length of its prefix in bits. */
export interface IpRange {
  readonly bytes: Uint8Array;
  readonly prefixBits: number;
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

/** Formats a range with the bits beyond the prefix cleared; IPv4-mapped addresses become IPv4 addresses. */
export function formatCidr({ bytes, prefixBits }: IpRange): string {
  const base = Uint8Array.from(masked(bytes, prefixBits));
  const isMapped = base.length === 16 && prefixBits >= 96 && base.subarray(10, 12).every((byte) => byte === 0xff) &&
    base.subarray(0, 10).every((byte) => byte === 0);
  return isMapped ? `${formatIpAddress(base.slice(12))}/${prefixBits - 96}` : `${formatIpAddress(base)}/${prefixBits}`;
}

/** Tells whether an address is in a range of its own family. */
export function isWithin(address: Uint8Array, { bytes, prefixBits }: IpRange): boolean {
  if (address.length !== bytes.length) return false;
  const cut = masked(address, prefixBits);
  return cut.every((byte, index) => byte === bytes[index]);
}

function masked(bytes: Uint8Array, prefixBits: number): Uint8Array {
  return bytes.map((byte, index) => {
    const bits = Math.max(0, Math.min(8, prefixBits - index * 8));
    return byte & (0xff00 >> bits);
  });
}
