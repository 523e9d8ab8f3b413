/** Reads the wire format as gogo's generated code does, with its messages. Strings need not be valid UTF-8. */
import { Buffer } from "node:buffer";
import { decodeUtf8 } from "../../lib/utf8.ts";
import { clampToInt64 } from "../int64.ts";
import { ElementBudget } from "./element_budget.ts";
import { DecodeError } from "./errors.ts";

/** The wire type of a varint. */
export const VARINT = 0;
/** The wire type of eight bytes. */
export const FIXED64 = 1;
/** The wire type of a length followed by bytes. */
export const LENGTH_DELIMITED = 2;

const OVERFLOW = "proto: integer overflow";
const NEGATIVE = "proto: negative length found during unmarshaling";
const END = "unexpected EOF";

/** Reads the fields of one message in order. */
export class WireReader {
  /** The budget for the values of the whole document. */
  readonly budget: ElementBudget;
  readonly #bytes: Uint8Array;
  #pos = 0;

  constructor(bytes: Uint8Array, budget: ElementBudget = new ElementBudget()) {
    this.#bytes = bytes;
    this.budget = budget;
  }

  get hasMore(): boolean {
    return this.#pos < this.#bytes.length;
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

  /** Reads the tag of any next field; the field number has 32 bits. */
  entryTag(): { readonly number: number; readonly wireType: number } {
    const { low } = this.#varint();
    return { number: (low >>> 3) | (this.#high << 29), wireType: low & 7 };
  }

  bool(): boolean {
    const { low } = this.#varint();
    return low !== 0 || this.#high !== 0;
  }

  int32(): number {
    return this.#varint().low | 0;
  }

  /** Reads an int64. Beyond 2^53, it is the nearest JavaScript number that prints as an int64. */
  int64(): number {
    const { low } = this.#varint();
    return clampToInt64((this.#high | 0) * 2 ** 32 + low);
  }

  /** Reads an int64 without loss of precision. */
  bigInt64(): bigint {
    const { low } = this.#varint();
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(low));
  }

  bytes(): Uint8Array {
    const { low } = this.#varint();
    if (this.#high !== 0) {
      throw new DecodeError((this.#high | 0) < 0 ? NEGATIVE : this.#isPastInt(low) ? NEGATIVE : END);
    }
    const end = this.#pos + low;
    if (end > this.#bytes.length) throw new DecodeError(END);
    const bytes = this.#bytes.subarray(this.#pos, end);
    this.#pos = end;
    return bytes;
  }

  /** Reads a message that is a field of this one. */
  nested(): WireReader {
    return new WireReader(this.bytes(), this.budget);
  }

  /** Reads text. Each byte that is not valid UTF-8 becomes U+FFFD, as in the JSON that Go writes for it. */
  text(): string {
    const bytes = this.bytes();
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    return text.includes("\ufffd") ? decodeUtf8(bytes).toWellFormed() : text;
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
          this.bytes();
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
      type = this.#varint().low & 7;
    }
  }

  #advance(count: number): void {
    this.#pos += count;
    if (this.#pos > this.#bytes.length) throw new DecodeError(END);
  }

  /** Reports whether a length is so close to 2^63 that adding the position overflows. */
  #isPastInt(low: number): boolean {
    return this.#high === 0x7fffffff && low + this.#pos > 0xffffffff;
  }

  /** The upper 32 bits of the varint that was read last. */
  #high = 0;

  /** Reads a varint of at most ten bytes; bits beyond 64 are dropped, as in Go. */
  #varint(): { readonly low: number } {
    let low = 0;
    let high = 0;
    for (let shift = 0;; shift += 7) {
      if (shift >= 64) throw new DecodeError(OVERFLOW);
      const byte = this.#bytes[this.#pos];
      if (byte === undefined) throw new DecodeError(END);
      this.#pos++;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= (bits << 28) >>> 0;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    this.#high = high >>> 0;
    return { low: low >>> 0 };
  }
}
