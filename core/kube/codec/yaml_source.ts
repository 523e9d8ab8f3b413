/**
 * Decodes the text of a YAML document: its encoding by byte order mark, and the characters that YAML forbids (go-yaml v2
 * `readerc.go`). Upstream reads pieces, so that it only finds a fault in a later piece if everything before is valid.
 */
import { Buffer } from "node:buffer";
import { JsonSyntaxError } from "./errors.ts";

/** The text to scan, and the fault at its end if it is truncated. */
export interface YamlSource {
  readonly text: string;
  readonly fault?: JsonSyntaxError;
}

/** The size of upstream's raw buffer, in bytes. */
const PIECE_BYTES = 512;
const FORBIDDEN = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

/** Decodes bytes in UTF-8 or, with a byte order mark, in UTF-16. */
export function readYamlSource(source: string | Uint8Array): YamlSource {
  const bytes = typeof source === "string" ? Buffer.from(source, "utf8") : Buffer.from(source);
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return readPieces(bytes, 2, utf16Reader(bytes, 0));
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return readPieces(bytes, 2, utf16Reader(bytes, 1));
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(start));
    if (!FORBIDDEN.test(text)) return { text };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  return readPieces(bytes, start, utf8Reader(bytes));
}

/** Reads one character, or returns what is wrong with it. */
type Read = (at: number) => { readonly code: number; readonly width: number } | string;

function readPieces(bytes: Uint8Array, start: number, read: Read): YamlSource {
  let text = "";
  let piece = "";
  let pieceEnd = PIECE_BYTES;
  for (let at = start; at < bytes.length;) {
    const found = read(at);
    const fault = typeof found === "string" ? found : isForbidden(found.code) ? CONTROL : undefined;
    if (fault !== undefined || typeof found === "string") {
      // Upstream reads on for the rest of a character before it finds that there is none.
      const isCut = fault?.startsWith("incomplete") === true;
      return { text: isCut ? text + piece : text, fault: new JsonSyntaxError(`yaml: ${fault}`) };
    }
    // A character that does not fit belongs to the next piece.
    if (at + found.width > pieceEnd) {
      text += piece;
      piece = "";
      pieceEnd = at + PIECE_BYTES;
    }
    piece += String.fromCodePoint(found.code);
    at += found.width;
  }
  return { text: text + piece };
}

const CONTROL = "control characters are not allowed";

function isForbidden(code: number): boolean {
  if (code >= 0x20 && code <= 0x7e) return false;
  return FORBIDDEN.test(String.fromCodePoint(code));
}

function utf8Reader(bytes: Uint8Array): Read {
  return (at) => {
    const lead = bytes[at] ?? 0;
    const width = lead < 0x80
      ? 1
      : (lead & 0xe0) === 0xc0
      ? 2
      : (lead & 0xf0) === 0xe0
      ? 3
      : (lead & 0xf8) === 0xf0
      ? 4
      : 0;
    if (width === 0) return "invalid leading UTF-8 octet";
    if (at + width > bytes.length) return "incomplete UTF-8 octet sequence";
    let code = width === 1 ? lead : lead & (0x7f >> width);
    for (let i = 1; i < width; i++) {
      const octet = bytes[at + i] ?? 0;
      if ((octet & 0xc0) !== 0x80) return "invalid trailing UTF-8 octet";
      code = (code << 6) | (octet & 0x3f);
    }
    if (width > 1 && code < (width === 2 ? 0x80 : width === 3 ? 0x800 : 0x10000)) {
      return "invalid length of a UTF-8 sequence";
    }
    if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return "invalid Unicode character";
    return { code, width };
  };
}

/** @param low which byte of each pair is the low one */
function utf16Reader(bytes: Uint8Array, low: 0 | 1): Read {
  const unit = (at: number): number => (bytes[at + low] ?? 0) | ((bytes[at + 1 - low] ?? 0) << 8);
  return (at) => {
    if (at + 2 > bytes.length) return "incomplete UTF-16 character";
    const first = unit(at);
    if ((first & 0xfc00) === 0xdc00) return "unexpected low surrogate area";
    if ((first & 0xfc00) !== 0xd800) return { code: first, width: 2 };
    if (at + 4 > bytes.length) return "incomplete UTF-16 surrogate pair";
    const second = unit(at + 2);
    if ((second & 0xfc00) !== 0xdc00) return "expected low surrogate area";
    return { code: 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff), width: 4 };
  };
}
