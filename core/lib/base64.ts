/** Base64 (RFC 4648), as Go's `base64.StdEncoding` reads and writes it, and as its `RawURLEncoding` writes it. */
import { Buffer } from "node:buffer";

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Decodes base64 with padding; line breaks are skipped. Undefined for any other text, such as the URL alphabet or a
 * missing padding.
 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const compact = text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, "") : text;
  const decoded = Buffer.from(compact, "base64");
  // Encoding again is several times as fast as the expression, which also accepts stray bits before the padding.
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

function toBuffer(bytes: Uint8Array | string): Buffer {
  return typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
