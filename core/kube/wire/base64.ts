/** Base64 with the errors of Go's decoder (`encoding/base64`). */
import { Buffer } from "node:buffer";
import { byteLength } from "../../lib/quote.ts";
import { DecodeError } from "./errors.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * Converts base64 text to canonical form, which has no line breaks and no stray bits before the padding; throws
 * `DecodeError` `illegal base64 data at input byte N`.
 */
export function canonicalBase64(text: string): string {
  const canonical = Buffer.from(text, "base64").toString("base64");
  if (canonical === text) return text;
  const fault = findFault(text);
  if (fault !== undefined) throw new DecodeError(`illegal base64 data at input byte ${fault}`);
  return canonical;
}

/** Decodes base64 text that is known to be in canonical form. */
export function decodeCanonicalBase64(text: string): Uint8Array {
  return Buffer.from(text, "base64");
}

/** Decodes text in Go's `RawURLEncoding`; throws `DecodeError` as `canonicalBase64` does. */
export function decodeRawUrlBase64(text: string): Uint8Array {
  const wrong = /[^A-Za-z0-9_\-\r\n]/.exec(text);
  const plain = (wrong === null ? text : text.slice(0, wrong.index)).replace(/[\r\n]/g, "");
  const fault = wrong === null
    ? (plain.length % 4 === 1 ? text.length - 1 : undefined)
    : byteLength(text.slice(0, wrong.index));
  if (fault !== undefined) throw new DecodeError(`illegal base64 data at input byte ${fault}`);
  return Buffer.from(plain, "base64url");
}

/** Finds the offset that Go reports: of the first wrong byte, or of an incomplete quantum. Line breaks are skipped. */
function findFault(text: string): number | undefined {
  let inQuantum = 0;
  let at = 0;
  while (at < text.length) {
    const char = text[at] ?? "";
    if (char === "\n" || char === "\r") {
      at++;
      continue;
    }
    if (char === "=") return findPaddingFault(text, at, inQuantum);
    if (!ALPHABET.includes(char)) return byteLength(text.slice(0, at));
    inQuantum = (inQuantum + 1) % 4;
    at++;
  }
  return inQuantum === 0 ? undefined : at - inQuantum;
}

function findPaddingFault(text: string, first: number, inQuantum: number): number | undefined {
  if (inQuantum < 2) return first;
  let at = skipBreaks(text, first + 1);
  if (inQuantum === 2) {
    if (at === text.length) return text.length;
    if (text[at] !== "=") return at - 1;
    at = skipBreaks(text, at + 1);
  }
  return at < text.length ? at : undefined;
}

function skipBreaks(text: string, from: number): number {
  let at = from;
  while (text[at] === "\n" || text[at] === "\r") at++;
  return at;
}
