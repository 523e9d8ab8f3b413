/** Bytes as lower-case hexadecimal digits, two for each byte. */
import { Buffer } from "node:buffer";

export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Decodes text that is known to consist of hexadecimal digits. */
export function decodeHex(hex: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(hex, "hex"));
}
