/**
 * JSON as Kubernetes reads it. `JSON.parse` hides two things a strict server must report, duplicate keys and numbers
 * written in another form than an integer's, and its error texts are not Go's (sigs.k8s.io/json `scanner.go`).
 */
import { JsonSyntaxError } from "./errors.ts";
import { goEscape } from "./go_quote.ts";

/** Parsed text, with what strict decoding wants to know of it. Pass the whole as options to `decodeObject`. */
export interface JsonDocument {
  readonly value: unknown;
  /** Paths of keys that came more than once, such as `spec.usages[0].x`; the later value is kept. */
  readonly duplicates: readonly string[];
  /** The literals of numbers that JavaScript would print differently (`1.0`, `1e3`, beyond 2^53), by path. */
  readonly numbers?: ReadonlyMap<string, string>;
  /** Strict errors found while parsing, as whole texts; YAML reports duplicate keys in this way. */
  readonly strictErrors?: readonly string[];
}

/** Greatest nesting of arrays and objects (sigs.k8s.io/json `maxNestingDepth`). */
const MAX_DEPTH = 10_000;
/** No schema is deeper than this, so that paths below it are of no use. */
const MAX_PATH_DEPTH = 64;
/** All recorded paths together stay below this many characters, whatever a hostile body repeats. */
const MAX_PATH_CHARS = 1_000_000;

// deno-lint-ignore no-control-regex -- JSON forbids bare control characters inside strings
const PLAIN_STRING = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;
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

const MIDST = /^(?:in (?!string literal)|after decimal point)/;

/** One array or object that is still open. */
interface Frame {
  readonly list: unknown[] | undefined;
  readonly object: Record<string, unknown>;
  key: string;
}

/** Parses JSON text; throws `JsonSyntaxError` with Go's text. Nesting costs memory, never stack. */
export function parseJson(text: string): JsonDocument {
  return new Parser(text).parse();
}

/** Sets an own property, also one named `__proto__`. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else object[key] = value;
}

class Parser {
  readonly #text: string;
  readonly #open: Frame[] = [];
  readonly #duplicates: string[] = [];
  readonly #numbers = new Map<string, string>();
  #pos = 0;
  #pathChars = 0;
  #root: unknown;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): JsonDocument {
    this.#skipSpace();
    for (;;) {
      const value = this.#readValue();
      if (value === OPENED) continue;
      if (this.#attach(value)) continue;
      const numbers = this.#numbers.size > 0 ? { numbers: this.#numbers } : {};
      return { value: this.#root, duplicates: this.#duplicates, ...numbers };
    }
  }

  /** Reads a scalar or an empty container; opens a frame for any other. */
  #readValue(): unknown {
    const char = this.#text[this.#pos];
    switch (char) {
      case '"':
        return this.#readString();
      case "{": {
        this.#push({ list: undefined, object: {}, key: "" });
        if (this.#text[this.#pos] === "}") return this.#close();
        this.#readKey();
        return OPENED;
      }
      case "[": {
        this.#push({ list: [], object: {}, key: "" });
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

  /** Puts a finished value into its place and closes what ends after it; false once the document is complete. */
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
      if (frame.list !== undefined) {
        frame.list.push(value);
        if (char !== "," && char !== "]") throw this.#unexpected(this.#pos, "after array element");
      } else {
        if (Object.hasOwn(frame.object, frame.key)) this.#record((path) => this.#duplicates.push(path));
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
    if (this.#open.length >= MAX_DEPTH) throw this.#unexpected(this.#pos, "exceeded max depth");
    this.#open.push(frame);
    this.#pos++;
    this.#skipSpace();
  }

  #close(): unknown {
    const frame = this.#open.pop();
    this.#pos++;
    return frame?.list ?? frame?.object;
  }

  #readKey(): void {
    if (this.#text[this.#pos] !== '"') throw this.#unexpected(this.#pos, "looking for beginning of object key string");
    const key = this.#readString();
    this.#skipSpace();
    if (this.#text[this.#pos] !== ":") throw this.#unexpected(this.#pos, "after object key");
    this.#pos++;
    this.#skipSpace();
    const frame = this.#open.at(-1);
    if (frame !== undefined) frame.key = key;
  }

  #readString(): string {
    const start = this.#pos + 1;
    PLAIN_STRING.lastIndex = start;
    PLAIN_STRING.test(this.#text);
    let end = PLAIN_STRING.lastIndex;
    let out = this.#text.slice(start, end);
    let escaped = false;
    while (this.#text[end] === "\\") {
      escaped = true;
      const char = this.#text[end + 1];
      if (char === "u") {
        out += String.fromCharCode(this.#readHex(end + 2));
        end += 6;
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
    // Half a surrogate pair becomes U+FFFD, as in Go.
    return escaped ? out.toWellFormed() : out;
  }

  #readHex(start: number): number {
    for (let i = start; i < start + 4; i++) {
      if (!/^[0-9a-fA-F]$/.test(this.#text[i] ?? "")) throw this.#unexpected(i, "in \\u hexadecimal character escape");
    }
    return Number.parseInt(this.#text.slice(start, start + 4), 16);
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
    if (String(value) !== literal) this.#record((path) => this.#numbers.set(path, literal));
    return value;
  }

  #skipSpace(): void {
    const code = this.#text.charCodeAt(this.#pos);
    if (code > 0x20) return;
    SPACE.lastIndex = this.#pos;
    SPACE.test(this.#text);
    this.#pos = SPACE.lastIndex;
  }

  #record(add: (path: string) => void): void {
    if (this.#open.length > MAX_PATH_DEPTH || this.#pathChars > MAX_PATH_CHARS) return;
    const path = this.#path();
    this.#pathChars += path.length;
    add(path);
  }

  /** Path of the value that is being read. */
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
      // Go tries a blank at the end of the text, which is wrong inside of words, numbers and escapes only.
      if (!MIDST.test(context)) return new JsonSyntaxError("unexpected end of JSON input");
      return new JsonSyntaxError(`invalid character ' ' ${context}`);
    }
    return new JsonSyntaxError(`invalid character ${quoteFirstByte(code)} ${context}`);
  }
}

/** Marks that a container was opened and its first element comes next. */
const OPENED: unique symbol = Symbol("opened");

/** Go looks at bytes: of a character beyond ASCII it names the first byte of its UTF-8 form, as if that were Latin-1. */
function quoteFirstByte(code: number): string {
  const byte = code < 0x80
    ? code
    : code < 0x800
    ? 0xc0 | (code >> 6)
    : code < 0x10000
    ? 0xe0 | (code >> 12)
    : 0xf0 | (code >> 18);
  if (byte === 0x27) return "'\\''";
  if (byte === 0x22) return "'\"'";
  return `'${goEscape(String.fromCharCode(byte))}'`;
}
