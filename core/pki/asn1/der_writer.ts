/** Writes DER (X.690 §10). Every function returns one complete value. */
import { Buffer } from "node:buffer";
import { type Bytes, TAG } from "./der.ts";

const UTF8 = new TextEncoder();
/** The characters of a text that Go encodes as PrintableString. */
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
/** A cache of encoded object identifiers. There are few, from constants and profiles, and each is encoded often. */
const OIDS = new Map<string, Bytes>();

/** Encodes one value: identifier octet, minimal definite length, content. */
export function encodeValue(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  return encodeParts(tag, parts);
}

/** Encodes one value from a list of parts, which may be too long for an argument list. */
export function encodeParts(tag: number, parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = startValue(tag, length);
  let at = bytes.length - length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Encodes one value whose content is text that the caller has checked to be ASCII. */
function encodeAsciiValue(tag: number, text: string): Bytes {
  const bytes = startValue(tag, text.length);
  const start = bytes.length - text.length;
  for (let at = 0; at < text.length; at++) bytes[start + at] = text.charCodeAt(at);
  return bytes;
}

/** Encodes a SEQUENCE of complete values. */
export function encodeSequence(...parts: readonly Uint8Array[]): Bytes {
  return encodeValue(TAG.sequence, ...parts);
}

/** Encodes a SET OF complete values, sorted by their bytes as DER requires (X.690 §11.6). */
export function encodeSetOf(values: readonly Bytes[]): Bytes {
  return encodeParts(TAG.set, [...values].sort(Buffer.compare));
}

/** Encodes BOOLEAN TRUE. FALSE is the default everywhere, so it is never encoded. */
export function encodeTrue(): Bytes {
  return encodeValue(TAG.boolean, Uint8Array.of(0xff));
}

/** Encodes a non-negative INTEGER from big-endian bytes; leading zeros are dropped. */
export function encodeUnsigned(bytes: Uint8Array): Bytes {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return (digits[0] ?? 0) >= 0x80
    ? encodeValue(TAG.integer, Uint8Array.of(0), digits)
    : encodeValue(TAG.integer, digits);
}

/** Encodes a small non-negative INTEGER. */
export function encodeSmallInteger(value: number): Bytes {
  const digits: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return encodeUnsigned(Uint8Array.from(digits));
}

/** Encodes a BIT STRING, in whose last byte `unusedBits` bits are unused. */
export function encodeBitString(bytes: Uint8Array, unusedBits = 0): Bytes {
  return encodeValue(TAG.bitString, Uint8Array.of(unusedBits), bytes);
}

export function encodeOctetString(bytes: Uint8Array): Bytes {
  return encodeValue(TAG.octetString, bytes);
}

export function encodeNull(): Bytes {
  return Uint8Array.of(TAG.null, 0);
}

/** Encodes an OBJECT IDENTIFIER from its dotted form, which is a constant or comes from `decodeOid`. */
export function encodeOid(dotted: string): Bytes {
  const known = OIDS.get(dotted);
  if (known !== undefined) return known;
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const content: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(0x80 | left % 128);
    content.push(...digits);
  }
  const value = encodeValue(TAG.oid, Uint8Array.from(content));
  OIDS.set(dotted, value);
  return value;
}

/** Encodes a string as Go does: PrintableString when every character allows it, else UTF8String. */
export function encodeText(text: string): Bytes {
  return PRINTABLE.test(text)
    ? encodeAsciiValue(TAG.printableString, text)
    : encodeValue(TAG.utf8String, UTF8.encode(text));
}

/** Encodes a time in UTC to the second: UTCTime for 1950 to 2049, else GeneralizedTime (RFC 5280 §4.1.2.5). */
export function encodeTime(time: Date): Bytes {
  const digits = time.toISOString().slice(0, 19).replace(/[-:T]/g, "") + "Z";
  const year = time.getUTCFullYear();
  return year >= 1950 && year < 2050
    ? encodeAsciiValue(TAG.utcTime, digits.slice(2))
    : encodeAsciiValue(TAG.generalizedTime, digits);
}

/** Allocates a value with tag and length, and with space for the content. */
function startValue(tag: number, length: number): Bytes {
  const header = length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x10000 ? 4 : length < 0x1000000 ? 5 : 6;
  const bytes = new Uint8Array(header + length);
  bytes[0] = tag;
  if (header === 2) bytes[1] = length;
  else {
    bytes[1] = 0x80 | (header - 2);
    for (let at = header - 1, rest = length; at > 1; at--, rest = Math.floor(rest / 256)) bytes[at] = rest % 256;
  }
  return bytes;
}
