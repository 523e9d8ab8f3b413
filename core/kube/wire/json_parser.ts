/**
 * Parses JSON as Kubernetes does. `JSON.parse` hides two things that a strict server must report, duplicate keys and
 * numbers that are not written as integers, and its messages are not Go's (sigs.k8s.io/json `scanner.go`).
 */
import { decodeUtf8, escapedByte, goEscape } from "../../lib/go_text.ts";
import { ElementBudget } from "./element_budget.ts";
import { isNumberLike, type JsonDocument, JsonSyntaxError, MAX_JSON_DEPTH, setOwn } from "../json_value.ts";
import type { JsonMember } from "../../lib/record.ts";

/** The greatest depth of recorded paths; no schema is deeper. */
const MAX_PATH_DEPTH = 64;
/** The largest number of characters in all recorded paths together, as a limit for hostile bodies. */
const MAX_PATH_CHARS = 1_000_000;

// deno-lint-ignore no-control-regex -- JSON forbids bare control characters inside strings
const PLAIN_STRING = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;
const HEX_DIGITS = /^[0-9a-fA-F]*/;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

const WITHIN_TOKEN = /^(?:in (?!string literal)|after decimal point)/;

/** An array or object that is still open. */
interface Frame {
  readonly list: unknown[] | undefined;
  readonly object: Record<string, unknown>;
  key: string;
  /** Recorded from the first member that a plain value would not keep as written. */
  members: JsonMember[] | undefined;
}

/**
 * Parses JSON text, or its bytes; throws `JsonSyntaxError` with Go's message, StatusError 413 for too many values.
 * Nested values use heap memory, not the stack.
 */
export function parseJson(source: string | Uint8Array, budget: ElementBudget = new ElementBudget()): JsonDocument {
  const text = typeof source === "string" ? source : decodeUtf8(source);
  return parsePlain(text) ?? new Parser(text, budget).parse();
}

/** A text of this length has neither too many values nor too many levels. */
const MAX_PLAIN_LENGTH = MAX_JSON_DEPTH;

/**
 * Parses text as encoders write it with the runtime's parser, which is several times faster. Returns undefined if the value
 * does not print as the same text, because it then hides a repeated key or the literal of a number, and if the text has
 * `\u`, which may be half of a surrogate pair. For malformed text, the other parser reports the error.
 */
function parsePlain(text: string): JsonDocument | undefined {
  if (text.length > MAX_PLAIN_LENGTH || text.includes("\\u")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const printed = JSON.stringify(value);
    return printed === text || `${printed}\n` === text ? { value, duplicates: [] } : undefined;
  } catch {
    return undefined;
  }
}

class Parser {
  readonly #text: string;
  readonly #budget: ElementBudget;
  readonly #open: Frame[] = [];
  readonly #duplicates: string[] = [];
  readonly #members = new Map<object, readonly JsonMember[]>();
  /** The text of the number that was just read, if JavaScript would print it differently. */
  #literal: string | undefined;
  #pos = 0;
  #pathChars = 0;
  #root: unknown;

  constructor(text: string, budget: ElementBudget) {
    this.#text = text;
    this.#budget = budget;
  }

  parse(): JsonDocument {
    this.#skipSpace();
    for (;;) {
      const value = this.#readValue();
      if (value === OPENED) continue;
      if (this.#attach(value)) continue;
      const members = this.#members.size > 0 ? { members: this.#members } : {};
      return { value: this.#root, duplicates: this.#duplicates, ...members };
    }
  }

  /** Reads a scalar or an empty container, or opens a frame for another container. */
  #readValue(): unknown {
    const char = this.#text[this.#pos];
    switch (char) {
      case '"':
        return this.#readString();
      case "{": {
        this.#push({ list: undefined, object: {}, key: "", members: undefined });
        if (this.#text[this.#pos] === "}") return this.#close();
        this.#readKey();
        return OPENED;
      }
      case "[": {
        this.#push({ list: [], object: {}, key: "", members: undefined });
        if (this.#text[this.#pos] === "]") return this.#close();
        return OPENED;
      }
      case "t":
        return this.#readLiteral("true", true);
      case "f":
        return this.#readLiteral("false", false);
      case "n":
        return this.#readLiteral("null", null);
      default:
        return this.#readNumber(char);
    }
  }

  /** Adds a finished value to its container and closes the containers that end after it; false at the end of the document. */
  #attach(finished: unknown): boolean {
    let value = finished;
    for (;;) {
      const frame = this.#open.at(-1);
      this.#skipSpace();
      if (frame === undefined) {
        if (this.#pos < this.#text.length) throw this.#unexpected(this.#pos, "after top-level value");
        this.#root = value;
        return false;
      }
      const char = this.#text[this.#pos];
      this.#budget.add();
      this.#keep(frame, value);
      if (frame.list !== undefined) {
        frame.list.push(value);
        if (char !== "," && char !== "]") throw this.#unexpected(this.#pos, "after array element");
      } else {
        setOwn(frame.object, frame.key, value);
        if (char !== "," && char !== "}") throw this.#unexpected(this.#pos, "after object key:value pair");
      }
      if (char === ",") {
        this.#pos++;
        this.#skipSpace();
        if (frame.list === undefined) this.#readKey();
        return true;
      }
      value = this.#close();
    }
  }

  #push(frame: Frame): void {
    if (this.#open.length >= MAX_JSON_DEPTH) throw this.#unexpected(this.#pos, "exceeded max depth");
    this.#open.push(frame);
    this.#pos++;
    this.#skipSpace();
  }

  #close(): unknown {
    const frame = this.#open.pop();
    this.#pos++;
    const value = frame?.list ?? frame?.object;
    if (frame?.members !== undefined && value !== undefined) this.#members.set(value, frame.members);
    return value;
  }

  #readKey(): void {
    if (this.#text[this.#pos] !== '"') throw this.#unexpected(this.#pos, "looking for beginning of object key string");
    const key = this.#readString();
    this.#skipSpace();
    if (this.#text[this.#pos] !== ":") throw this.#unexpected(this.#pos, "after object key");
    this.#pos++;
    this.#skipSpace();
    const frame = this.#open.at(-1);
    if (frame === undefined) return;
    frame.key = key;
    if (Object.hasOwn(frame.object, key)) {
      frame.members ??= plainMembers(frame);
      this.#budget.addRepeat();
      this.#recordDuplicate();
    } else if (isNumberLike(key)) frame.members ??= plainMembers(frame);
  }

  /** Records the original text of a finished value, if its object or array keeps it. */
  #keep(frame: Frame, value: unknown): void {
    const literal = this.#literal;
    if (literal !== undefined) {
      this.#literal = undefined;
      frame.members ??= plainMembers(frame);
    }
    if (frame.members === undefined) return;
    const key = frame.list === undefined ? frame.key : String(frame.list.length);
    frame.members.push(literal === undefined ? { key, value } : { key, value, literal });
  }

  #readString(): string {
    const start = this.#pos + 1;
    PLAIN_STRING.lastIndex = start;
    PLAIN_STRING.test(this.#text);
    let end = PLAIN_STRING.lastIndex;
    let out = this.#text.slice(start, end);
    while (this.#text[end] === "\\") {
      const char = this.#text[end + 1];
      if (char === "u") {
        const code = this.#readHex(end + 2);
        end += 6;
        // A lone surrogate stays alone, even if an escaped byte follows that looks like the other half of the pair.
        out += isHighSurrogate(code) && this.#text[end] !== "\\" ? "\ufffd" : String.fromCharCode(code);
      } else {
        const plain = char === undefined ? undefined : ESCAPES[char];
        if (plain === undefined || char === undefined) throw this.#unexpected(end + 1, "in string escape code");
        out += plain;
        end += 2;
      }
      PLAIN_STRING.lastIndex = end;
      PLAIN_STRING.test(this.#text);
      out += this.#text.slice(end, PLAIN_STRING.lastIndex);
      end = PLAIN_STRING.lastIndex;
    }
    if (this.#text[end] !== '"') throw this.#unexpected(end, "in string literal");
    this.#pos = end + 1;
    // A lone surrogate and a byte that is not valid UTF-8 become U+FFFD, as in Go.
    return out.toWellFormed();
  }

  #readHex(start: number): number {
    const digits = this.#text.slice(start, start + 4);
    const valid = HEX_DIGITS.exec(digits)?.[0].length ?? 0;
    if (valid < 4) throw this.#unexpected(start + valid, "in \\u hexadecimal character escape");
    return Number.parseInt(digits, 16);
  }

  #readLiteral(word: string, value: unknown): unknown {
    for (let i = 1; i < word.length; i++) {
      if (this.#text[this.#pos + i] !== word[i]) {
        throw this.#unexpected(this.#pos + i, `in literal ${word} (expecting '${word[i]}')`);
      }
    }
    this.#pos += word.length;
    return value;
  }

  #readNumber(char: string | undefined): number {
    NUMBER.lastIndex = this.#pos;
    const literal = NUMBER.exec(this.#text)?.[0];
    if (literal === undefined) {
      if (char === "-") throw this.#unexpected(this.#pos + 1, "in numeric literal");
      throw this.#unexpected(this.#pos, "looking for beginning of value");
    }
    const end = this.#pos + literal.length;
    const next = this.#text[end];
    if (next === "." && !/[.eE]/.test(literal)) {
      throw this.#unexpected(end + 1, "after decimal point in numeric literal");
    }
    if ((next === "e" || next === "E") && !/[eE]/.test(literal)) {
      const sign = this.#text[end + 1] === "+" || this.#text[end + 1] === "-";
      throw this.#unexpected(end + (sign ? 2 : 1), "in exponent of numeric literal");
    }
    this.#pos = end;
    const value = Number(literal);
    if (String(value) !== literal) this.#literal = literal;
    return value;
  }

  #skipSpace(): void {
    const code = this.#text.charCodeAt(this.#pos);
    if (code > 0x20) return;
    SPACE.lastIndex = this.#pos;
    SPACE.test(this.#text);
    this.#pos = SPACE.lastIndex;
  }

  #recordDuplicate(): void {
    if (this.#open.length > MAX_PATH_DEPTH || this.#pathChars > MAX_PATH_CHARS) return;
    const path = this.#path();
    this.#pathChars += path.length;
    this.#duplicates.push(path);
  }

  /** Returns the path of the value that is being read. */
  #path(): string {
    let path = "";
    for (const frame of this.#open) {
      path += frame.list !== undefined ? `[${frame.list.length}]` : `${path === "" ? "" : "."}${frame.key}`;
    }
    return path;
  }

  #unexpected(at: number, context: string): JsonSyntaxError {
    const code = this.#text.codePointAt(at);
    if (code === undefined) {
      // At the end of the text, Go's scanner reads a blank, which is only an error inside words, numbers and escapes.
      if (!WITHIN_TOKEN.test(context)) return new JsonSyntaxError("unexpected end of JSON input");
      return new JsonSyntaxError(`invalid character ' ' ${context}`);
    }
    return new JsonSyntaxError(`invalid character ${quoteFirstByte(code)} ${context}`);
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** Signals that a container was opened and its first element comes next. */
const OPENED: unique symbol = Symbol("opened");

/** Quotes a character as Go does, which shows the first byte of its UTF-8 form as if it were Latin-1. */
function quoteFirstByte(code: number): string {
  const byte = escapedByte(code) ??
    (code < 0x80
      ? code
      : code < 0x800
      ? 0xc0 | (code >> 6)
      : code < 0x10000
      ? 0xe0 | (code >> 12)
      : 0xf0 | (code >> 18));
  if (byte === 0x27) return "'\\''";
  if (byte === 0x22) return "'\"'";
  return `'${goEscape(String.fromCharCode(byte))}'`;
}

/** Returns the members of an open frame so far, in which no name is repeated. */
function plainMembers(frame: Frame): JsonMember[] {
  if (frame.list !== undefined) return frame.list.map((value, index) => ({ key: String(index), value }));
  return Object.keys(frame.object).map((key) => ({ key, value: frame.object[key] }));
}
