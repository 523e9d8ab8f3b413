/** Joins bytes, and encodes them as text: base64 (as Go reads and writes it), base32 and hexadecimal digits. */
import { Buffer } from "node:buffer";
import { Secret } from "./brand.ts";
import { err, ok, type Result } from "./result.ts";

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Decodes base64 with padding; line breaks are skipped. Undefined for any other text, such as the URL alphabet or text
 * without padding.
 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const compact = text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, "") : text;
  const decoded = Buffer.from(compact, "base64");
  // Re-encoding is several times faster than the expression, which also accepts stray bits before the padding.
  const isCanonical = decoded.toString("base64") === compact;
  if (!isCanonical && (compact.length % 4 !== 0 || !BASE64.test(compact))) return undefined;
  // A copy: Node's small buffers share one pool, and a Buffer's subarray is slow.
  return new Uint8Array(decoded);
}

/** Encodes bytes, or text in UTF-8, as base64 with padding on one line. */
export function encodeBase64(bytes: Uint8Array | string): string {
  return toBuffer(bytes).toString("base64");
}

/** Encodes bytes, or text in UTF-8, with the URL alphabet and without padding. */
export function encodeBase64Url(bytes: Uint8Array | string): string {
  return toBuffer(bytes).toString("base64url");
}

/** Returns the value of the (Proxy-)Authorization header for the user in a URL; undefined if there is none. */
export function readBasicAuthorization({ username, password }: URL): Result<Secret<string> | undefined, string> {
  if (username === "" && password === "") return ok(undefined);
  try {
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return ok(new Secret(`Basic ${encodeBase64(user)}`));
  } catch {
    return err('its user name or password has "%" without two hexadecimal digits');
  }
}

function toBuffer(bytes: Uint8Array | string): Buffer {
  return typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Joins bytes, and text in UTF-8. */
export function concatBytes(...parts: readonly (Uint8Array | string)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts.map(toBuffer)));
}

/** Encodes a number in one, two or four bytes, the most significant one first. */
export function encodeUint(bytes: 1 | 2 | 4, value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, at) => value >>> (8 * (bytes - 1 - at)));
}

const RFC_4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Crockford's alphabet: digits and letters without I, L, O and U. */
export const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Encodes bytes as base32 without padding, in the alphabet of RFC 4648 or in another one. */
export function encodeBase32(bytes: Uint8Array, alphabet: string = RFC_4648): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += alphabet[(value >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + alphabet[(value << (5 - bits)) & 31];
}

/** Decodes base32 without padding; undefined for malformed text, such as text with stray bits after the last byte. */
export function decodeBase32(text: string, alphabet: string = RFC_4648): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let at = 0;
  let bits = 0;
  let value = 0;
  for (const character of text) {
    const digit = alphabet.indexOf(character);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (value >> bits) & 0xff;
  }
  return bits < 5 && (value & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}

/** Encodes bytes as lower-case hexadecimal digits, two for each byte. */
export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Decodes text that is known to consist of hexadecimal digits. */
export function decodeHex(hex: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(hex, "hex"));
}
