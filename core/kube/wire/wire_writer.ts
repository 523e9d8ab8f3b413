/**
 * Writes the wire format from its end to its start, so that the length of a message is known when its head is written.
 */
import { Buffer } from "node:buffer";
import { FIXED64, LENGTH_DELIMITED, VARINT } from "./wire_reader.ts";

/** The first size of the scratch buffer, which is enough for most objects. */
const FIRST_BYTES = 16 * 1024;
/** The largest scratch buffer that is kept for the next writer. */
const KEPT_BYTES = 1024 * 1024;
/** The length of text up to which a loop is faster than a call into the runtime. */
const SHORT_TEXT = 32;

/**
 * The scratch buffer of the last writer that finished. The next writer takes it out of this variable, so that it is
 * never shared.
 */
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

  /** Turns everything that was written since the size was `before` into the message of a field. */
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
