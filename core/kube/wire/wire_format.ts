/**
 * Reads and writes the wire format of protobuf. It is read as gogo's generated code does, with its error messages; strings
 * need not be valid UTF-8. A message is written from its end to its start, so that its length is known when its head is
 * written.
 */
import { Buffer } from "node:buffer";
import { clampToInt64, decodeUtf8 } from "../../lib/go_text.ts";
import { ElementBudget } from "./element_budget.ts";
import { DecodeError } from "../json_value.ts";

export const VARINT = 0;
/** The wire type of eight bytes. */
const FIXED64 = 1;
/** The wire type of a length followed by bytes. */
export const LENGTH_DELIMITED = 2;

const OVERFLOW = "proto: integer overflow";
const NEGATIVE = "proto: negative length found during unmarshaling";
const END = "unexpected EOF";

/** Reads the fields of one message in order. */
export class WireReader {
  /** The budget for the values of the whole document. */
  readonly budget: ElementBudget;
  /** The whole document. The message is a range of it, because a view of each message would take longer than its fields. */
  readonly #document: Buffer;
  readonly #start: number;
  readonly #end: number;
  #pos: number;
  /** The upper 32 bits of the varint that was read last. */
  #high = 0;

  /** Reads the bytes from `start` to `end`. */
  constructor(bytes: Uint8Array, budget: ElementBudget = new ElementBudget(), start = 0, end: number = bytes.length) {
    this.#document = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = start;
    this.#end = end;
    this.#pos = start;
    this.budget = budget;
  }

  get hasMore(): boolean {
    return this.#pos < this.#end;
  }

  /** Reads the tag of the next field of a message with that Go name. Throws DecodeError. */
  tag(message: string): { readonly number: number; readonly wireType: number } {
    const tag = this.entryTag();
    if (tag.wireType === 4) throw new DecodeError(`proto: ${message}: wiretype end group for non-group`);
    if (tag.number <= 0) {
      const whole = (BigInt(this.#high) << 32n) | BigInt(((tag.number << 3) | tag.wireType) >>> 0);
      throw new DecodeError(`proto: ${message}: illegal tag ${tag.number} (wire type ${whole})`);
    }
    return tag;
  }

  /** Reads the tag of the next field of any message; the field number has 32 bits. */
  entryTag(): { readonly number: number; readonly wireType: number } {
    const low = this.#varint();
    return { number: (low >>> 3) | (this.#high << 29), wireType: low & 7 };
  }

  bool(): boolean {
    return this.#varint() !== 0 || this.#high !== 0;
  }

  int32(): number {
    return this.#varint() | 0;
  }

  /** Reads an int64. Beyond 2^53, it is the nearest JavaScript number that prints as an int64. */
  int64(): number {
    const low = this.#varint();
    return clampToInt64((this.#high | 0) * 2 ** 32 + low);
  }

  /** Reads an int64 without loss of precision. */
  bigInt64(): bigint {
    const low = this.#varint();
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(low));
  }

  /** Reads bytes, as a view of the document. */
  bytes(): Uint8Array {
    const end = this.#delimited();
    const { buffer, byteOffset } = this.#document;
    const bytes = new Uint8Array(buffer, byteOffset + this.#pos, end - this.#pos);
    this.#pos = end;
    return bytes;
  }

  /** Reads bytes as base64 text, without a view of them. */
  base64(): string {
    const end = this.#delimited();
    const text = this.#document.toString("base64", this.#pos, end);
    this.#pos = end;
    return text;
  }

  /** Reads a message that is a field of this one. */
  nested(): WireReader {
    const end = this.#delimited();
    const message = new WireReader(this.#document, this.budget, this.#pos, end);
    this.#pos = end;
    return message;
  }

  /** Reads text. Each byte that is not valid UTF-8 becomes U+FFFD, as in the JSON that Go writes for it. */
  text(): string {
    const end = this.#delimited();
    const text = this.#document.toString("utf8", this.#pos, end);
    const isInvalid = text.includes("\ufffd");
    const exact = isInvalid ? decodeUtf8(this.#document.subarray(this.#pos, end)).toWellFormed() : text;
    this.#pos = end;
    return exact;
  }

  /** Skips an unknown field, which may be a group. */
  skip(wireType: number): void {
    let depth = 0;
    let type = wireType;
    for (;;) {
      switch (type) {
        case VARINT:
          this.#varint();
          break;
        case FIXED64:
          this.#advance(8);
          break;
        case LENGTH_DELIMITED:
          this.#pos = this.#delimited();
          break;
        case 3:
          depth++;
          break;
        case 4:
          if (depth === 0) throw new DecodeError("proto: unexpected end of group");
          depth--;
          break;
        case 5:
          this.#advance(4);
          break;
        default:
          throw new DecodeError(`proto: illegal wireType ${type}`);
      }
      if (depth === 0) return;
      type = this.#varint() & 7;
    }
  }

  #advance(count: number): void {
    this.#pos += count;
    if (this.#pos > this.#end) throw new DecodeError(END);
  }

  /** Reads the length of a field, and returns the offset of its end. */
  #delimited(): number {
    const low = this.#varint();
    if (this.#high !== 0) {
      throw new DecodeError((this.#high | 0) < 0 ? NEGATIVE : this.#isPastInt(low) ? NEGATIVE : END);
    }
    const end = this.#pos + low;
    if (end > this.#end) throw new DecodeError(END);
    return end;
  }

  /** Reports whether a length is so close to 2^63 that adding the position in the message overflows. */
  #isPastInt(low: number): boolean {
    return this.#high === 0x7fffffff && low + this.#pos - this.#start > 0xffffffff;
  }

  /** Reads a varint of at most ten bytes and returns its lower 32 bits; bits beyond 64 are dropped, as in Go. */
  #varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0;; shift += 7) {
      if (shift >= 64) throw new DecodeError(OVERFLOW);
      if (this.#pos >= this.#end) throw new DecodeError(END);
      const byte = this.#document[this.#pos++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= (bits << 28) >>> 0;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    this.#high = high >>> 0;
    return low >>> 0;
  }
}

/** The initial size of the scratch buffer, which is enough for most objects. */
const FIRST_BYTES = 16 * 1024;
/** The largest scratch buffer that is kept for the next writer. */
const KEPT_BYTES = 1024 * 1024;
/** The length of text up to which a loop is faster than a call into the runtime. */
const SHORT_TEXT = 32;

/** The scratch buffer of the last writer that finished. The next writer takes it, so it is never shared. */
let spare: Buffer | undefined;

/** Writes one message, with its last field first. A writer that is not finished does not affect the next one. */
export class WireWriter {
  #scratch: Buffer;
  /** The start of the written bytes, which end with the scratch buffer. */
  #start: number;

  constructor() {
    this.#scratch = spare ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
    spare = undefined;
    this.#start = this.#scratch.length;
  }

  /** The number of bytes written so far. */
  get size(): number {
    return this.#scratch.length - this.#start;
  }

  bool(number: number, value: boolean): void {
    this.#varint(value ? 1 : 0, 0);
    this.#tag(number, VARINT);
  }

  /** Writes an int32. Negative numbers take ten bytes, like an int64. */
  int32(number: number, value: number): void {
    if (value !== (value | 0)) throw new Error(`invalid int32: ${value}`);
    this.int64(number, value);
  }

  int64(number: number, value: number | bigint): void {
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) throw new Error(`invalid int64: ${value}`);
      this.#varint(Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
      return this.#tag(number, VARINT);
    }
    if (!Number.isInteger(value) || value < -(2 ** 63) || value >= 2 ** 63) throw new Error(`invalid int64: ${value}`);
    this.#varint(value >>> 0, Math.floor(value / 2 ** 32) >>> 0);
    this.#tag(number, VARINT);
  }

  double(number: number, value: number): void {
    const at = this.#place(8);
    this.#scratch.writeDoubleLE(value, at);
    this.#tag(number, FIXED64);
  }

  /** Writes text; a lone surrogate becomes U+FFFD. */
  string(number: number, text: string): void {
    const before = this.size;
    if (!this.#shortAscii(text)) {
      const width = Buffer.byteLength(text);
      const at = this.#place(width);
      this.#scratch.write(text, at, width);
    }
    this.message(number, before);
  }

  bytes(number: number, content: Uint8Array): void {
    const before = this.size;
    this.raw(content);
    this.message(number, before);
  }

  /** Writes the bytes that base64 text encodes. */
  base64(number: number, text: string): void {
    const before = this.size;
    const most = Buffer.byteLength(text, "base64");
    const at = this.#place(most);
    const width = this.#scratch.write(text, at, most, "base64");
    if (width < most) {
      this.#scratch.copyWithin(at + most - width, at, at + width);
      this.#start += most - width;
    }
    this.message(number, before);
  }

  /** Wraps everything that was written since the size was `before` in one field. */
  message(number: number, before: number): void {
    this.messageHead(number, this.size - before);
  }

  /** Writes a message as a field, with the fields that `write` writes. */
  nested(number: number, write: () => void): void {
    const before = this.size;
    write();
    this.message(number, before);
  }

  /** Writes the head of a message that another writer has written. */
  messageHead(number: number, length: number): void {
    this.#varint(length, 0);
    this.#tag(number, LENGTH_DELIMITED);
  }

  /** Writes bytes as they are, without a field around them. */
  raw(bytes: ArrayLike<number>): void {
    const at = this.#place(bytes.length);
    this.#scratch.set(bytes, at);
  }

  /** Returns everything that was written. The writer cannot be used afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    const written = new Uint8Array(this.#scratch.subarray(this.#start));
    if (this.#scratch.length <= KEPT_BYTES) spare = this.#scratch;
    return written;
  }

  #tag(number: number, wireType: number): void {
    this.#varint((number << 3) | wireType, 0);
  }

  /** Writes a varint of 64 bits from its two halves. */
  #varint(low: number, high: number): void {
    const bits = high === 0 ? 32 - Math.clz32(low | 1) : 64 - Math.clz32(high);
    const width = Math.ceil(bits / 7);
    let at = this.#place(width);
    const scratch = this.#scratch;
    for (const last = at + width - 1; at < last; at++) {
      scratch[at] = low | 0x80;
      low = (low >>> 7) | (high << 25);
      high >>>= 7;
    }
    scratch[at] = low;
  }

  /** Writes text that is short and ASCII; false for any other. */
  #shortAscii(text: string): boolean {
    const { length } = text;
    if (length > SHORT_TEXT) return false;
    const at = this.#place(length);
    const scratch = this.#scratch;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#start += length;
        return false;
      }
      scratch[at + i] = code;
    }
    return true;
  }

  /** Makes room before the written bytes and returns its start. */
  #place(width: number): number {
    if (width > this.#start) this.#grow(width);
    return this.#start -= width;
  }

  #grow(width: number): void {
    const { size } = this;
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#scratch.length, size + width));
    grown.set(this.#scratch.subarray(this.#start), grown.length - size);
    this.#start = grown.length - size;
    this.#scratch = grown;
  }
}
