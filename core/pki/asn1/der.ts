/**
 * A strict and fast DER reader (X.690 §10: definite and minimal lengths). It never descends into unknown structures, so
 * no nesting can exhaust the stack. It throws `DerError`, which the public parsers of this folder turn into a `Result`;
 * the texts are Go's (`encoding/asn1`), because API clients see them.
 */
import { err, ok, type Result } from "../../lib/result.ts";

/** A fault in an encoding, which `toResult` turns into a `Result`. */
export class DerError extends Error {}

/** Bytes in an `ArrayBuffer`, which WebCrypto requires. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Identifier octets of the types in use. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

export function contextTag(number: number, constructed: boolean): number {
  return 0x80 | (constructed ? 0x20 : 0) | number;
}

/** One value: its identifier octet (the first one, for tag numbers above 30), its content, and all of its bytes. */
export class DerElement {
  readonly tag: number;
  readonly #bytes: Bytes;
  readonly #start: number;
  readonly #at: number;
  readonly #end: number;

  /** An element whose content starts at `at`. Views are created on demand, because most are never used. */
  constructor(bytes: Bytes, tag: number, start: number, at: number, end: number) {
    this.tag = tag;
    this.#bytes = bytes;
    this.#start = start;
    this.#at = at;
    this.#end = end;
  }

  /** The content after tag and length. */
  get content(): Bytes {
    return this.#bytes.subarray(this.#at, this.#end);
  }

  /** The whole value: tag, length and content. */
  get raw(): Bytes {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Creates a reader of the content. */
  enter(): DerReader {
    return new DerReader(this.#bytes, this.#at, this.#end);
  }
}

/** Reads values one after another. */
export class DerReader {
  readonly #bytes: Bytes;
  readonly #origin: number;
  readonly #end: number;
  #at: number;
  /** The last header that was read: the start of its value and of its content, and the length of the content. */
  #valueAt = 0;
  #contentAt = 0;
  #length = 0;

  /** Reads all bytes, or those from `start` to `end`. */
  constructor(bytes: Bytes, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#origin = start;
    this.#end = end;
    this.#at = start;
  }

  isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** Reports whether the next value has this identifier octet. */
  isNext(tag: number): boolean {
    return this.#at < this.#end && this.#bytes[this.#at] === tag;
  }

  /** Reads the next value, whatever its type. */
  readAny(): DerElement {
    const tag = this.#readHeader();
    this.#skipContent();
    return new DerElement(this.#bytes, tag, this.#valueAt, this.#contentAt, this.#at);
  }

  /** Reads the next value, which must have this identifier octet; `goType` names it in the error as Go does. */
  read(tag: number, goType: string): DerElement {
    this.#expect(tag, goType);
    return new DerElement(this.#bytes, tag, this.#valueAt, this.#contentAt, this.#at);
  }

  /** Enters the next element of a list, which must have this identifier octet. */
  enterElement(tag: number): DerReader {
    if (this.#readHeader() !== tag) throw new DerError("asn1: structure error: sequence tag mismatch");
    this.#skipContent();
    return new DerReader(this.#bytes, this.#contentAt, this.#at);
  }

  /** Reads the next value if it has this identifier octet. */
  readOptional(tag: number): DerElement | undefined {
    return this.isNext(tag) ? this.readAny() : undefined;
  }

  /** Enters the next value, which must have this identifier octet. */
  enter(tag: number, goType: string): DerReader {
    this.#expect(tag, goType);
    return new DerReader(this.#bytes, this.#contentAt, this.#at);
  }

  /** Refuses bytes after the last value. */
  expectEnd(): void {
    if (!this.isAtEnd()) throw new DerError("asn1: syntax error: trailing data");
  }

  #expect(tag: number, goType: string): void {
    const found = this.#readHeader();
    if (found !== tag) {
      throw new DerError(describeMismatch(tag, found, this.#length, goType, this.#contentAt - this.#origin));
    }
    this.#skipContent();
  }

  /** Reads tag and length and returns the identifier octet. */
  #readHeader(): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    this.#valueAt = at;
    if (at >= end) throw new DerError("asn1: syntax error: sequence truncated");
    const tag = bytes[at++] ?? 0;
    if ((tag & 0x1f) === 0x1f) at = skipTagNumber(bytes, at, end);
    if (at >= end) throw new DerError("asn1: syntax error: truncated tag or length");
    let length = bytes[at++] ?? 0;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0) throw new DerError("asn1: syntax error: indefinite length found (not DER)");
      length = 0;
      for (let i = 0; i < count; i++) {
        if (at >= end) throw new DerError("asn1: syntax error: truncated tag or length");
        if (length >= 1 << 23) throw new DerError("asn1: structure error: length too large");
        length = length * 256 + (bytes[at++] ?? 0);
        if (length === 0) throw new DerError("asn1: structure error: superfluous leading zeros in length");
      }
      if (length < 0x80) throw new DerError("asn1: structure error: non-minimal length");
    }
    this.#contentAt = at;
    this.#length = length;
    return tag;
  }

  #skipContent(): void {
    const next = this.#contentAt + this.#length;
    if (next > this.#end) throw new DerError("asn1: syntax error: data truncated");
    this.#at = next;
  }
}

/** Formats the message of Go's `encoding/asn1` for a wrong tag. */
function describeMismatch(wanted: number, tag: number, length: number, goType: string, at: number): string {
  const found = `{class:${tag >> 6} tag:${tag & 0x1f} length:${length} isCompound:${(tag & 0x20) !== 0}}`;
  const options = "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> " +
    "stringType:0 timeType:0 set:false omitEmpty:false}";
  return `asn1: structure error: tags don't match (${wanted & 0x1f} vs ${found}) ${options} ${goType} @${at}`;
}

/** Runs a parser and turns its `DerError` into a `Result`. */
export function toResult<T>(parse: () => T): Result<T, string> {
  try {
    return ok(parse());
  } catch (error) {
    if (error instanceof DerError) return err(error.message);
    throw error;
  }
}

/** Reports whether two arrays are equal. The time depends on the first difference, so it is for public data only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Runs a part of a parser and replaces the text of any fault. */
export function withText<T>(text: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof DerError) throw new DerError(text);
    throw error;
  }
}

/** Decodes a BOOLEAN; DER allows only 0x00 and 0xff. */
export function decodeBoolean(content: Bytes): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    throw new DerError("asn1: syntax error: invalid boolean");
  }
  return content[0] === 0xff;
}

/** Refuses an INTEGER that is empty or not minimal. */
export function checkInteger(content: Bytes): void {
  const [first, second] = content;
  if (first === undefined) throw new DerError("asn1: structure error: empty integer");
  if (second === undefined) return;
  if ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)) {
    throw new DerError("asn1: structure error: integer not minimally-encoded");
  }
}

/** Refuses an INTEGER that does not fit in 64 bits (`encoding/asn1`, parseInt64). */
export function checkInt64(content: Bytes): void {
  checkInteger(content);
  if (content.length > 8) throw new DerError("asn1: structure error: integer too large");
}

/** Decodes an INTEGER that fits in 48 bits. */
export function decodeSmallInteger(content: Bytes): number {
  checkInteger(content);
  if (content.length > 6) throw new DerError("asn1: structure error: integer too large");
  let value = (content[0] ?? 0) >= 0x80 ? -1 : 0;
  for (const byte of content) value = value * 256 + byte;
  return value;
}

/** Decodes a non-negative INTEGER into bytes without the sign byte; undefined when it is negative. */
export function decodeUnsigned(content: Bytes): Bytes | undefined {
  checkInteger(content);
  if ((content[0] ?? 0) >= 0x80) return undefined;
  return content[0] === 0 && content.length > 1 ? content.subarray(1) : content;
}

/** Decodes a BIT STRING into bytes and the number of unused bits in the last one, which must be zero. */
export function decodeBitString(content: Bytes): { readonly bytes: Bytes; readonly unusedBits: number } {
  const unusedBits = content[0];
  if (unusedBits === undefined) throw new DerError("asn1: syntax error: zero length BIT STRING");
  const last = content[content.length - 1] ?? 0;
  if (unusedBits > 7 || (content.length === 1 && unusedBits > 0) || (last & ((1 << unusedBits) - 1)) !== 0) {
    throw new DerError("asn1: syntax error: invalid padding bits in BIT STRING");
  }
  return { bytes: content.subarray(1), unusedBits };
}

/**
 * Decodes the BIT STRING of a signature as Go's `asn1.BitString.RightAlign` does: unused bits are shifted out, so a
 * signature with such bits never verifies.
 */
export function decodeSignature(content: Bytes): Bytes {
  const { bytes, unusedBits } = decodeBitString(content);
  if (unusedBits === 0) return bytes;
  return bytes.map((byte, index) => ((bytes[index - 1] ?? 0) << 8 | byte) >> unusedBits);
}

/** Decodes an OBJECT IDENTIFIER into dotted form; arcs above 2³¹−1 are refused, as in Go. */
export function decodeOid(content: Bytes): string {
  if (content.length === 0) throw new DerError("asn1: syntax error: zero length OBJECT IDENTIFIER");
  let text = "";
  let arc = 0;
  let length = 0;
  for (const byte of content) {
    if (length === 0 && byte === 0x80) throw new DerError("asn1: syntax error: integer is not minimally encoded");
    if (length === 5) throw new DerError("asn1: structure error: base 128 integer too large");
    arc = arc * 128 + (byte & 0x7f);
    length++;
    if (byte >= 0x80) continue;
    if (arc > 0x7fffffff) throw new DerError("asn1: structure error: base 128 integer too large");
    if (text === "") text = arc < 80 ? `${Math.floor(arc / 40)}.${arc % 40}` : `2.${arc - 80}`;
    else text += `.${arc}`;
    arc = 0;
    length = 0;
  }
  if (length > 0) throw new DerError("asn1: syntax error: truncated base 128 integer");
  return text;
}

function skipTagNumber(bytes: Bytes, start: number, end: number): number {
  let number = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (at === start && byte === 0x80) throw new DerError("asn1: syntax error: integer is not minimally encoded");
    if (at - start === 5) throw new DerError("asn1: structure error: base 128 integer too large");
    number = number * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    if (number < 0x1f) throw new DerError("asn1: syntax error: non-minimal tag");
    return at + 1;
  }
  throw new DerError("asn1: syntax error: truncated base 128 integer");
}
