/** A place in YAML text: characters with line and column, as go-yaml counts them (code points, every YAML 1.1 break). */
import { JsonSyntaxError } from "./errors.ts";
import type { YamlSource } from "./yaml_source.ts";

/** Where something is: characters from the start, line and column from 0. */
export interface Mark {
  readonly index: number;
  readonly line: number;
  readonly column: number;
}

/** Characters that the grammar knows, by code. */
export const TAB = 9;
/** Line feed. */
export const LF = 10;
/** Carriage return. */
export const CR = 13;
/** The blank that indents. */
export const SPACE = 32;

/** A line break, by any of the codes of YAML 1.1. */
export function isBreak(code: number): boolean {
  return code === LF || code === CR || code === 0x85 || code === 0x2028 || code === 0x2029;
}

/** A line break or the end (which reads as 0). */
export function isBreakOrEnd(code: number): boolean {
  return code === 0 || isBreak(code);
}

/** Space or tab. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Space, tab, line break or the end. */
export function isBlankOrEnd(code: number): boolean {
  return isBlank(code) || isBreakOrEnd(code);
}

/** ASCII letters, digits, `_` and `-`: names of anchors, tags and directives. */
export function isWord(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 ||
    code === 45;
}

/** Reads forward; nothing goes back. */
export class Cursor {
  readonly #text: string;
  readonly #fault: JsonSyntaxError | undefined;
  /** Place in the text, in UTF-16 units. */
  pos = 0;
  index = 0;
  line = 0;
  column = 0;

  constructor(source: YamlSource) {
    this.#text = source.text;
    this.#fault = source.fault;
  }

  /** The code unit at the place or some units after it; 0 at the end. Throws when the text was cut there. */
  at(offset = 0): number {
    const at = this.pos + offset;
    if (at < this.#text.length) return this.#text.charCodeAt(at);
    if (this.#fault !== undefined) throw this.#fault;
    return 0;
  }

  /** Demands so many characters ahead, as upstream does before it looks at them. */
  need(count: number): void {
    if (this.#fault !== undefined && this.pos + count > this.#text.length) throw this.#fault;
  }

  mark(): Mark {
    return { index: this.index, line: this.line, column: this.column };
  }

  /** Passes one character that is no line break. */
  skip(): void {
    const code = this.#text.charCodeAt(this.pos);
    this.pos += code >= 0xd800 && code <= 0xdbff ? 2 : 1;
    this.index++;
    this.column++;
  }

  /** Passes a line break, if one is here. */
  skipBreak(): void {
    this.readBreak();
  }

  /** Passes a line break and gives what it counts as: a line feed, or itself for the separators of Unicode. */
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

  /** Passes everything while the code unit fulfils the condition, and gives it. */
  readWhile(wanted: (code: number) => boolean): string {
    const start = this.pos;
    while (wanted(this.at())) this.skip();
    return this.#text.slice(start, this.pos);
  }

  /** Passes everything up to the line's end, and gives it. */
  readLine(): string {
    return this.readWhile(isWithinLine);
  }

  /** An error at this place; its line is the one after, as go-yaml reports it, and line 1 is not named. */
  error(problem: string): JsonSyntaxError {
    return new JsonSyntaxError(`yaml: ${this.line === 0 ? "" : `line ${this.line + 1}: `}${problem}`);
  }
}

function isWithinLine(code: number): boolean {
  return !isBreakOrEnd(code);
}
