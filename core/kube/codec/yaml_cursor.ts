/** A position in YAML text with line and column as go-yaml counts them: in code points, and every YAML 1.1 line break. */
import { JsonSyntaxError } from "./errors.ts";
import type { YamlSource } from "./yaml_source.ts";

/** A position: characters from the start, line and column from 0. */
export interface Mark {
  readonly index: number;
  readonly line: number;
  readonly column: number;
}

/** Characters that the grammar knows, by code. */
export const TAB = 9;
const LF = 10;
const CR = 13;
/** The space, the only character that indents. */
export const SPACE = 32;

/** Tells whether a character is a line break of YAML 1.1. */
export function isBreak(code: number): boolean {
  return code === LF || code === CR || code === 0x85 || code === 0x2028 || code === 0x2029;
}

/** Tells whether a character is a line break or the end, which reads as 0. */
export function isBreakOrEnd(code: number): boolean {
  return code === 0 || isBreak(code);
}

/** Tells whether a character is a space or a tab. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Tells whether a character is a space, a tab, a line break or the end. */
export function isBlankOrEnd(code: number): boolean {
  return isBlank(code) || isBreakOrEnd(code);
}

/** Tells whether a character may be in the name of an anchor, tag or directive: ASCII letters, digits, `_` and `-`. */
export function isWord(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 ||
    code === 45;
}

/** Reads text forward and never goes back. */
export class Cursor {
  readonly #text: string;
  readonly #fault: JsonSyntaxError | undefined;
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
  error(problem: string): JsonSyntaxError {
    return new JsonSyntaxError(`yaml: ${this.line === 0 ? "" : `line ${this.line + 1}: `}${problem}`);
  }
}

function isWithinLine(code: number): boolean {
  return !isBreakOrEnd(code);
}
