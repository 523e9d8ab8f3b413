/** SSH's data types (RFC 4251 §5): read within bounds, and written. */
import { Buffer } from "node:buffer";
import { type Bytes, checkInteger, DerError, equalBytes } from "../pki/asn1/der.ts";

/** The longest name in use is that of a type of key, such as `ecdsa-sha2-nistp256`. */
const MAX_NAME_BYTES = 64;

const UTF8 = new TextEncoder();

/** Reads values one after another. It throws `DerError`, which `toResult` turns into a `Result`. */
export class SshReader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** Reads bytes that must be this ASCII text; the error has the text of the fault. */
  expectText(text: string, fault: string): void {
    if (!equalBytes(this.#take(text.length), UTF8.encode(text))) throw new DerError(fault);
  }

  expectEnd(): void {
    if (this.#at < this.#bytes.length) throw new DerError("there are bytes after the end");
  }

  readUint32(): number {
    const bytes = this.#take(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  }

  readString(): Bytes {
    return this.#take(this.readUint32());
  }

  /** Reads a name. Bytes other than printable ASCII become `?`, so that a message can quote it. */
  readName(): string {
    const bytes = this.readString();
    if (bytes.length > MAX_NAME_BYTES) throw new DerError(`a name has more than ${MAX_NAME_BYTES} bytes`);
    return Buffer.from(bytes).toString("latin1").replace(/[^ -~]/g, "?");
  }

  /** Reads an `mpint`, which must be positive and minimal; its bytes are also the content of a DER INTEGER. */
  readNumber(): Bytes {
    const content = this.readString();
    checkInteger(content);
    if ((content[0] ?? 0) >= 0x80 || (content.length === 1 && content[0] === 0)) {
      throw new DerError("a number is not positive");
    }
    return content;
  }

  /** Reads all that is left. */
  readRest(): Bytes {
    return this.#take(this.#bytes.length - this.#at);
  }

  #take(length: number): Bytes {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new DerError("the bytes end too early");
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}

/** Encodes strings, each with its length before it. */
export function encodeStrings(...strings: readonly (Uint8Array | string)[]): Bytes {
  return concatBytes(...strings.flatMap((one) => {
    const bytes = toBytes(one);
    return [encodeUint32(bytes.length), bytes];
  }));
}

export function encodeUint32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function concatBytes(...parts: readonly (Uint8Array | string)[]): Bytes {
  return new Uint8Array(Buffer.concat(parts.map(toBytes)));
}

function toBytes(part: Uint8Array | string): Uint8Array {
  return typeof part === "string" ? UTF8.encode(part) : part;
}
