/** Scans scalars in their three styles: block, quoted and plain (go-yaml v2 `scannerc.go`). */
import { Cursor, isBlank, isBlankOrEnd, isBreak, isBreakOrEnd, SPACE, TAB } from "./cursor.ts";

const QUOTE = 39;
const DOUBLE_QUOTE = 34;
const BACKSLASH = 92;
const HASH = 35;
const COLON = 58;

/** Reports whether a line starts with a document marker, `---` or `...`. */
export function isDocumentIndicator(cursor: Cursor): boolean {
  if (cursor.column !== 0) return false;
  const code = cursor.at();
  return (code === 45 || code === 46) && cursor.at(1) === code && cursor.at(2) === code && isBlankOrEnd(cursor.at(3));
}

/** Scans a block scalar, `|` or `>`; `indent` is that of the block around it. */
export function scanBlockScalar(cursor: Cursor, literal: boolean, indent: number): string {
  cursor.skip();
  const { chomping, increment } = scanBlockHeader(cursor);
  const block = new BlockScalar(cursor, indent, increment > 0 ? Math.max(indent, 0) + increment : 0);
  return block.read(literal, chomping);
}

function scanBlockHeader(cursor: Cursor): { readonly chomping: string; readonly increment: number } {
  let chomping = "";
  let increment = 0;
  const sign = (): void => {
    if (cursor.at() !== 43 && cursor.at() !== 45) return;
    chomping = String.fromCharCode(cursor.at());
    cursor.skip();
  };
  const digit = (): void => {
    if (cursor.at() < 48 || cursor.at() > 57) return;
    if (cursor.at() === 48) throw cursor.error("found an indentation indicator equal to 0");
    increment = cursor.at() - 48;
    cursor.skip();
  };
  sign();
  digit();
  if (chomping === "" && increment > 0) sign();
  cursor.readWhile(isBlank);
  if (cursor.at() === HASH) cursor.readLine();
  if (!isBreakOrEnd(cursor.at())) throw cursor.error("did not find expected comment or line break");
  cursor.skipBreak();
  return { chomping, increment };
}

class BlockScalar {
  readonly #cursor: Cursor;
  readonly #outerIndent: number;
  /** The indentation of the text; 0 until the first line with text sets it. */
  #indent: number;

  constructor(cursor: Cursor, outerIndent: number, indent: number) {
    this.#cursor = cursor;
    this.#outerIndent = outerIndent;
    this.#indent = indent;
  }

  read(literal: boolean, chomping: string): string {
    const cursor = this.#cursor;
    const parts: string[] = [];
    let lineBreak = "";
    let emptyLines = this.#readEmptyLines();
    let afterBlank = false;
    while (cursor.column === this.#indent && cursor.at() !== 0) {
      const startsBlank = isBlank(cursor.at());
      if (!literal && !afterBlank && !startsBlank && lineBreak === "\n") {
        if (emptyLines === "") parts.push(" ");
      } else parts.push(lineBreak);
      parts.push(emptyLines);
      afterBlank = startsBlank;
      parts.push(cursor.readLine());
      cursor.need(2);
      lineBreak = cursor.readBreak();
      emptyLines = this.#readEmptyLines();
    }
    if (chomping !== "-") parts.push(lineBreak);
    if (chomping === "+") parts.push(emptyLines);
    return parts.join("");
  }

  #readEmptyLines(): string {
    const cursor = this.#cursor;
    let breaks = "";
    let deepest = 0;
    for (;;) {
      while (this.#isInIndent() && cursor.at() === SPACE) cursor.skip();
      deepest = Math.max(deepest, cursor.column);
      if (this.#isInIndent() && cursor.at() === TAB) {
        throw cursor.error("found a tab character where an indentation space is expected");
      }
      if (!isBreak(cursor.at())) break;
      breaks += cursor.readBreak();
    }
    if (this.#indent === 0) this.#indent = Math.max(deepest, this.#outerIndent + 1, 1);
    return breaks;
  }

  #isInIndent(): boolean {
    return this.#indent === 0 || this.#cursor.column < this.#indent;
  }
}

/** Collects blanks and line breaks between the words of a quoted or plain scalar. */
class Gap {
  #blanks = "";
  #firstBreak = "";
  #moreBreaks = "";
  broken = false;

  isEmpty(): boolean {
    return !this.broken && this.#blanks === "";
  }

  /** Reads one blank or one line break. */
  read(cursor: Cursor): void {
    if (isBlank(cursor.at())) {
      if (!this.broken) this.#blanks += String.fromCharCode(cursor.at());
      cursor.skip();
    } else if (this.broken) this.#moreBreaks += cursor.readBreak();
    else {
      this.#blanks = "";
      this.#firstBreak = cursor.readBreak();
      this.broken = true;
    }
  }

  /** Returns the folded white space: one line break is a space, several are one less. Then the state is reset. */
  take(): string {
    const text = !this.broken
      ? this.#blanks
      : this.#firstBreak !== "\n"
      ? this.#firstBreak + this.#moreBreaks
      : this.#moreBreaks === ""
      ? " "
      : this.#moreBreaks;
    this.#blanks = this.#firstBreak = this.#moreBreaks = "";
    this.broken = false;
    return text;
  }
}

/** Scans a scalar in single or double quotes. */
export function scanQuotedScalar(cursor: Cursor, single: boolean): string {
  const close = single ? QUOTE : DOUBLE_QUOTE;
  const isText = (code: number): boolean => !isBlankOrEnd(code) && code !== close && (single || code !== BACKSLASH);
  const parts: string[] = [];
  cursor.skip();
  for (;;) {
    cursor.need(4);
    if (isDocumentIndicator(cursor)) throw cursor.error("found unexpected document indicator");
    if (cursor.at() === 0) throw cursor.error("found unexpected end of stream");
    const gap = new Gap();
    let escapedBreak = false;
    for (;;) {
      parts.push(cursor.readWhile(isText));
      if (single && cursor.at() === QUOTE && cursor.at(1) === QUOTE) {
        cursor.skip();
        cursor.skip();
        parts.push("'");
      } else if (!single && cursor.at() === BACKSLASH) {
        if (isBreak(cursor.at(1))) {
          cursor.skip();
          cursor.skipBreak();
          escapedBreak = true;
          break;
        }
        parts.push(scanEscape(cursor));
      } else break;
    }
    if (cursor.at() === close) break;
    // After an escaped line break, the blanks of the next line are dropped, and further line breaks are kept.
    if (escapedBreak) parts.push(readAfterEscapedBreak(cursor));
    else {
      while (isBlank(cursor.at()) || isBreak(cursor.at())) gap.read(cursor);
      parts.push(gap.take());
    }
  }
  cursor.skip();
  return parts.join("");
}

function readAfterEscapedBreak(cursor: Cursor): string {
  let breaks = "";
  while (isBlank(cursor.at()) || isBreak(cursor.at())) {
    if (isBreak(cursor.at())) breaks += cursor.readBreak();
    else cursor.skip();
  }
  return breaks;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["0", "\0"],
  ["a", "\x07"],
  ["b", "\b"],
  ["t", "\t"],
  ["\t", "\t"],
  ["n", "\n"],
  ["v", "\v"],
  ["f", "\f"],
  ["r", "\r"],
  ["e", "\x1b"],
  [" ", " "],
  ['"', '"'],
  ["'", "'"],
  ["\\", "\\"],
  ["N", "\x85"],
  ["_", "\xa0"],
  ["L", "\u2028"],
  ["P", "\u2029"],
]);

const HEX_DIGITS: ReadonlyMap<string, number> = new Map([["x", 2], ["u", 4], ["U", 8]]);

function scanEscape(cursor: Cursor): string {
  const letter = String.fromCharCode(cursor.at(1));
  const plain = ESCAPES.get(letter);
  const digits = HEX_DIGITS.get(letter);
  if (plain === undefined && digits === undefined) throw cursor.error("found unknown escape character");
  cursor.skip();
  cursor.skip();
  if (digits === undefined) return plain ?? "";
  let text = "";
  for (let i = 0; i < digits; i++) text += String.fromCharCode(cursor.at(i));
  if (!/^[0-9a-fA-F]+$/.test(text)) throw cursor.error("did not find expected hexdecimal number");
  const code = Number.parseInt(text, 16);
  if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) {
    throw cursor.error("found invalid Unicode character escape code");
  }
  for (let i = 0; i < digits; i++) cursor.skip();
  return String.fromCodePoint(code);
}

/**
 * Scans a scalar without quotes; `ends` are the characters that end it where it is inside `[` or `{`, else empty.
 * `crossedLine` is true if a line ended after it, so that a key may follow.
 */
export function scanPlainScalar(
  cursor: Cursor,
  indent: number,
  ends: ReadonlySet<number>,
): { readonly text: string; readonly crossedLine: boolean } {
  const parts: string[] = [];
  const gap = new Gap();
  const isText = (code: number): boolean => !isBlankOrEnd(code) && code !== COLON && !ends.has(code);
  for (;;) {
    cursor.need(4);
    if (isDocumentIndicator(cursor) || cursor.at() === HASH) break;
    for (;;) {
      const isColon = cursor.at() === COLON && !isBlankOrEnd(cursor.at(1));
      if (!isColon && !isText(cursor.at())) break;
      if (!gap.isEmpty()) parts.push(gap.take());
      if (isColon) {
        parts.push(":");
        cursor.skip();
      } else parts.push(cursor.readWhile(isText));
    }
    if (!isBlank(cursor.at()) && !isBreak(cursor.at())) break;
    while (isBlank(cursor.at()) || isBreak(cursor.at())) {
      if (gap.broken && cursor.column <= indent && cursor.at() === TAB) {
        throw cursor.error("found a tab character that violates indentation");
      }
      gap.read(cursor);
    }
    if (ends.size === 0 && cursor.column <= indent) break;
  }
  return { text: parts.join(""), crossedLine: gap.broken };
}
