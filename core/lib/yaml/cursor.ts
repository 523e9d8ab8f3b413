/**
 * The text of a YAML document: decoded by its byte order mark, without the characters that YAML forbids (go-yaml v2
 * `readerc.go`), and read forward with line and column as go-yaml counts them: in code points, and every YAML 1.1 line
 * break.
 */
import { Buffer } from "node:buffer";

/** A position: characters from the start, line and column from 0. */
export interface Mark {
  readonly index: number;
  readonly line: number;
  readonly column: number;
}

/** Reports text that is not YAML. The message is go-yaml's. Callers translate it. */
export class YamlError extends Error {
  /** The fault, without a word of the text. */
  readonly problem: string;
  /** The place in the text, where it is known. */
  readonly mark: Mark | undefined;

  /**
   * @param problem go-yaml's words, quoting nothing
   * @param place the place, and the line that go-yaml names: its parser and its scanner count differently, and 0 is no line
   * @param detail go-yaml's words with what they quote, for the message
   */
  constructor(problem: string, place: { readonly mark?: Mark; readonly line?: number } = {}, detail: string = problem) {
    const { mark, line = 0 } = place;
    super(`yaml: ${line === 0 ? "" : `line ${line}: `}${detail}`);
    this.problem = problem;
    this.mark = mark;
  }
}

/** The text to scan, and the fault at its end if it is truncated. */
export interface YamlSource {
  readonly text: string;
  readonly fault?: YamlError;
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

/** Reads one character, or returns its fault. */
type Read = (at: number) => { readonly code: number; readonly width: number } | string;

function readPieces(bytes: Uint8Array, start: number, read: Read): YamlSource {
  let text = "";
  let piece = "";
  let pieceEnd = PIECE_BYTES;
  for (let at = start; at < bytes.length;) {
    const found = read(at);
    if (typeof found === "string" || isForbidden(found.code)) {
      const fault = typeof found === "string" ? found : "control characters are not allowed";
      // Upstream tries to read the rest of a character before it detects the end of the text.
      const isCut = fault.startsWith("incomplete");
      return { text: isCut ? text + piece : text, fault: new YamlError(fault) };
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

/**
 * @param low the index of the low byte in each pair
 */
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

/** Characters that the grammar knows, by code. */
export const TAB = 9;
const LF = 10;
const CR = 13;
/** The space, the only character that indents. */
export const SPACE = 32;

/** Reports whether a character is a line break of YAML 1.1. */
export function isBreak(code: number): boolean {
  return code === LF || code === CR || code === 0x85 || code === 0x2028 || code === 0x2029;
}

/** Reports whether a character is a line break or the end, which reads as 0. */
export function isBreakOrEnd(code: number): boolean {
  return code === 0 || isBreak(code);
}

/** Reports whether a character is a space or a tab. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Reports whether a character is a space, a tab, a line break or the end. */
export function isBlankOrEnd(code: number): boolean {
  return isBlank(code) || isBreakOrEnd(code);
}

/**
 * Reports whether a character may be in the name of an anchor, tag or directive: ASCII letters, digits, `_` and `-`.
 */
export function isWord(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 ||
    code === 45;
}

/** Reads text forward and never goes back. */
export class Cursor {
  readonly #text: string;
  readonly #fault: YamlError | undefined;
  /** The position in the text, in UTF-16 units. */
  pos = 0;
  index = 0;
  line = 0;
  column = 0;

  constructor(source: YamlSource) {
    this.#text = source.text;
    this.#fault = source.fault;
  }

  /** Returns the code unit at the position or some units after it; 0 at the end. Throws if the text has a fault there. */
  at(offset = 0): number {
    const at = this.pos + offset;
    if (at < this.#text.length) return this.#text.charCodeAt(at);
    if (this.#fault !== undefined) throw this.#fault;
    return 0;
  }

  /** Requires some characters ahead, as upstream does before it reads them. Throws if the text has a fault before. */
  need(count: number): void {
    if (this.#fault !== undefined && this.pos + count > this.#text.length) throw this.#fault;
  }

  mark(): Mark {
    return { index: this.index, line: this.line, column: this.column };
  }

  /** Skips one character that is no line break. */
  skip(): void {
    const code = this.#text.charCodeAt(this.pos);
    this.pos += code >= 0xd800 && code <= 0xdbff ? 2 : 1;
    this.index++;
    this.column++;
  }

  /** Skips a line break, if there is one. */
  skipBreak(): void {
    this.readBreak();
  }

  /** Reads a line break and returns its value: a line feed, or itself for the separators of Unicode. */
  readBreak(): string {
    const code = this.at();
    if (!isBreak(code)) return "";
    const pair = code === CR && this.pos + 1 < this.#text.length && this.at(1) === LF;
    this.pos += pair ? 2 : 1;
    this.index += pair ? 2 : 1;
    this.column = 0;
    this.line++;
    return code === 0x2028 || code === 0x2029 ? String.fromCharCode(code) : "\n";
  }

  /** Reads characters as long as they fulfil a condition. */
  readWhile(wanted: (code: number) => boolean): string {
    const start = this.pos;
    while (wanted(this.at())) this.skip();
    return this.#text.slice(start, this.pos);
  }

  /** Reads the rest of the line. */
  readLine(): string {
    return this.readWhile(isWithinLine);
  }

  /** Creates an error at this position. As in go-yaml, it names the next line, and no line in line 1. */
  error(problem: string): YamlError {
    return new YamlError(problem, { mark: this.mark(), line: this.line === 0 ? 0 : this.line + 1 });
  }
}

function isWithinLine(code: number): boolean {
  return !isBreakOrEnd(code);
}
