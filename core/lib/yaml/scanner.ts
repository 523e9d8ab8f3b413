/**
 * Scans YAML text into tokens in one pass (go-yaml v2 `scannerc.go`, after libyaml): indentation becomes tokens, and a
 * `:` turns the node before it into a key.
 */
import { Cursor, isBlankOrEnd, isBreak, type Mark, SPACE, TAB, type YamlSource } from "./cursor.ts";
import { isDocumentIndicator, scanBlockScalar, scanPlainScalar, scanQuotedScalar } from "./scalar_scan.ts";
import { type Directive, scanDirective, scanName, scanTag } from "./tag_scan.ts";

/** A token for the parser. */
export type Token =
  | { readonly kind: "scalar"; readonly mark: Mark; readonly text: string; readonly isPlain: boolean }
  | { readonly kind: "anchor" | "alias"; readonly mark: Mark; readonly name: string }
  | { readonly kind: "tag"; readonly mark: Mark; readonly handle: string; readonly suffix: string }
  | { readonly kind: "directive"; readonly mark: Mark; readonly directive: Directive }
  | { readonly kind: Indicator; readonly mark: Mark };

/** Tokens that only have a position. */
export type Indicator =
  | "streamStart"
  | "streamEnd"
  | "documentStart"
  | "documentEnd"
  | "blockSequenceStart"
  | "blockMappingStart"
  | "blockEnd"
  | "flowSequenceStart"
  | "flowSequenceEnd"
  | "flowMappingStart"
  | "flowMappingEnd"
  | "blockEntry"
  | "flowEntry"
  | "key"
  | "value";

/** A version of the YAML specification. */
export type YamlVersion = "1.1" | "1.2";

/** A position where a key without `?` may have started. */
interface SimpleKey {
  possible: boolean;
  readonly required: boolean;
  readonly tokenNumber: number;
  readonly mark: Mark;
}

/** The greatest depth of `[` and `{`, and the greatest depth of indentation. */
const MAX_DEPTH = 10_000;
/** The greatest length of a key without `?`, which is on one line. */
const MAX_SIMPLE_KEY = 1024;
/** The number of skipped tokens that are released at once. */
const TOKEN_PORTION = 1024;

/** The characters with which no plain scalar may start. */
const INDICATORS: ReadonlySet<number> = new Set(Array.from("-?:,[]{}#&*!|>'\"%@`", (char) => char.charCodeAt(0)));

/** The characters that end plain text inside `[` or `{`. */
const FLOW_ENDS_1_2: ReadonlySet<number> = new Set(Array.from(",[]{}", (char) => char.charCodeAt(0)));
const FLOW_ENDS_1_1: ReadonlySet<number> = new Set([...FLOW_ENDS_1_2, 63]);
const NO_ENDS: ReadonlySet<number> = new Set();

/** Scans tokens one by one. Throws YamlError with go-yaml's message. */
export class Scanner {
  readonly #cursor: Cursor;
  readonly #version: YamlVersion;
  readonly #indents: number[] = [];
  readonly #simpleKeys: SimpleKey[] = [];
  readonly #simpleKeyByToken = new Map<number, number>();
  #tokens: Token[] = [];
  #head = 0;
  /** The number of tokens skipped so far. */
  #taken = 0;
  #ready = false;
  #started = false;
  #indent = -1;
  #flowLevel = 0;
  #keyAllowed = false;

  constructor(source: YamlSource, version: YamlVersion) {
    this.#cursor = new Cursor(source);
    this.#version = version;
  }

  /** Returns the next token without skipping it. Must not be called after `streamEnd`. */
  peek(): Token {
    if (!this.#ready) this.#fetchMore();
    this.#ready = true;
    return this.#tokens[this.#head] ?? { kind: "streamEnd", mark: this.#cursor.mark() };
  }

  /** Skips the token that `peek` returned. */
  skip(): void {
    this.#ready = false;
    this.#taken++;
    this.#head++;
    if (this.#head >= TOKEN_PORTION) {
      this.#tokens = this.#tokens.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Reports whether the next token is ready: nothing that follows can insert a key before it. */
  #fetchMore(): void {
    for (;;) {
      if (this.#head < this.#tokens.length) {
        const index = this.#simpleKeyByToken.get(this.#taken);
        const key = index === undefined ? undefined : this.#simpleKeys[index];
        if (key === undefined || !this.#isStillKey(key)) return;
      }
      this.#fetchNext();
    }
  }

  #fetchNext(): void {
    const cursor = this.#cursor;
    if (!this.#started) {
      this.#started = true;
      this.#simpleKeys.push({ possible: false, required: false, tokenNumber: 0, mark: cursor.mark() });
      this.#keyAllowed = true;
      this.#append({ kind: "streamStart", mark: cursor.mark() });
      return;
    }
    this.#skipToToken();
    this.#unrollIndent(cursor.column);
    cursor.need(4);
    const code = cursor.at();
    if (code === 0) return this.#fetchStreamEnd();
    if (code === 37 && cursor.column === 0) return this.#fetchDirective();
    if (isDocumentIndicator(cursor)) return this.#fetchDocumentIndicator(code === 45 ? "documentStart" : "documentEnd");
    const isAlone = isBlankOrEnd(cursor.at(1));
    switch (String.fromCharCode(code)) {
      case "[":
        return this.#fetchFlowStart("flowSequenceStart");
      case "{":
        return this.#fetchFlowStart("flowMappingStart");
      case "]":
        return this.#fetchFlowEnd("flowSequenceEnd");
      case "}":
        return this.#fetchFlowEnd("flowMappingEnd");
      case ",":
        return this.#fetchFlowEntry();
      case "-":
        if (isAlone) return this.#fetchBlockEntry();
        return this.#fetchPlain();
      case "?":
        if (isAlone || (this.#flowLevel > 0 && this.#version === "1.1")) return this.#fetchKey();
        return this.#fetchPlain();
      case ":":
        if (this.#flowLevel > 0 || isAlone) return this.#fetchValue();
        return this.#fetchPlain();
      case "*":
        return this.#fetchInline(() => ({ kind: "alias", mark: cursor.mark(), name: scanName(cursor) }));
      case "&":
        return this.#fetchInline(() => ({ kind: "anchor", mark: cursor.mark(), name: scanName(cursor) }));
      case "!":
        return this.#fetchInline(() => ({ kind: "tag", mark: cursor.mark(), ...scanTag(cursor) }));
      case "'":
      case '"':
        return this.#fetchInline(() => ({
          kind: "scalar",
          mark: cursor.mark(),
          text: scanQuotedScalar(cursor, code === 39),
          isPlain: false,
        }));
      case "|":
      case ">":
        if (this.#flowLevel === 0) return this.#fetchBlockScalar(code === 124);
    }
    if (INDICATORS.has(code) || code === TAB) throw cursor.error("found character that cannot start any token");
    this.#fetchPlain();
  }

  #skipToToken(): void {
    const cursor = this.#cursor;
    for (;;) {
      if (cursor.index === 0 && cursor.at() === 0xfeff) cursor.skip();
      while (cursor.at() === SPACE || (cursor.at() === TAB && (this.#flowLevel > 0 || !this.#keyAllowed))) {
        cursor.skip();
      }
      if (cursor.at() === 35) cursor.readLine();
      if (!isBreak(cursor.at())) return;
      cursor.need(2);
      cursor.skipBreak();
      if (this.#flowLevel === 0) this.#keyAllowed = true;
    }
  }

  #isStillKey(key: SimpleKey): boolean {
    if (!key.possible) return false;
    const { line, index } = this.#cursor;
    if (key.mark.line >= line && key.mark.index + MAX_SIMPLE_KEY >= index) return true;
    if (key.required) throw this.#cursor.error("could not find expected ':'");
    key.possible = false;
    return false;
  }

  #saveKey(): void {
    if (!this.#keyAllowed) return;
    const key: SimpleKey = {
      possible: true,
      required: this.#flowLevel === 0 && this.#indent === this.#cursor.column,
      tokenNumber: this.#taken + this.#tokens.length - this.#head,
      mark: this.#cursor.mark(),
    };
    this.#removeKey();
    this.#simpleKeys[this.#simpleKeys.length - 1] = key;
    this.#simpleKeyByToken.set(key.tokenNumber, this.#simpleKeys.length - 1);
  }

  #removeKey(): void {
    const key = this.#simpleKeys.at(-1);
    if (key === undefined || !key.possible) return;
    if (key.required) throw this.#cursor.error("could not find expected ':'");
    key.possible = false;
    this.#simpleKeyByToken.delete(key.tokenNumber);
  }

  #append(token: Token): void {
    this.#tokens.push(token);
  }

  /** Opens a block collection if the column is greater than the indentation around it; `at` is a token number. */
  #rollIndent(column: number, kind: Indicator, mark: Mark, at?: number): void {
    if (this.#flowLevel > 0 || this.#indent >= column) return;
    this.#indents.push(this.#indent);
    this.#indent = column;
    if (this.#indents.length > MAX_DEPTH) throw this.#cursor.error(`exceeded max depth of ${MAX_DEPTH}`);
    if (at === undefined) this.#append({ kind, mark });
    else this.#insert(at, { kind, mark });
  }

  /** Inserts a token before the one of that number; as in go-yaml, at the end if that one was skipped already. */
  #insert(tokenNumber: number, token: Token): void {
    const ahead = tokenNumber - this.#taken;
    if (ahead < 0) this.#tokens.push(token);
    else this.#tokens.splice(this.#head + ahead, 0, token);
  }

  #unrollIndent(column: number): void {
    if (this.#flowLevel > 0) return;
    while (this.#indent > column) {
      this.#append({ kind: "blockEnd", mark: this.#cursor.mark() });
      this.#indent = this.#indents.pop() ?? -1;
    }
  }

  #fetchStreamEnd(): void {
    const cursor = this.#cursor;
    if (cursor.column !== 0) {
      cursor.column = 0;
      cursor.line++;
    }
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#keyAllowed = false;
    this.#append({ kind: "streamEnd", mark: cursor.mark() });
  }

  #fetchDirective(): void {
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#keyAllowed = false;
    const mark = this.#cursor.mark();
    this.#append({ kind: "directive", mark, directive: scanDirective(this.#cursor) });
  }

  #fetchDocumentIndicator(kind: "documentStart" | "documentEnd"): void {
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#keyAllowed = false;
    this.#append({ kind, mark: this.#cursor.mark() });
    for (let i = 0; i < 3; i++) this.#cursor.skip();
  }

  #fetchFlowStart(kind: "flowSequenceStart" | "flowMappingStart"): void {
    this.#saveKey();
    this.#simpleKeys.push({
      possible: false,
      required: false,
      tokenNumber: this.#taken + this.#tokens.length - this.#head,
      mark: this.#cursor.mark(),
    });
    this.#flowLevel++;
    if (this.#flowLevel > MAX_DEPTH) throw this.#cursor.error(`exceeded max depth of ${MAX_DEPTH}`);
    this.#keyAllowed = true;
    this.#indicate(kind);
  }

  #fetchFlowEnd(kind: "flowSequenceEnd" | "flowMappingEnd"): void {
    this.#removeKey();
    if (this.#flowLevel > 0) {
      this.#flowLevel--;
      const key = this.#simpleKeys.pop();
      if (key !== undefined) this.#simpleKeyByToken.delete(key.tokenNumber);
    }
    this.#keyAllowed = false;
    this.#indicate(kind);
  }

  #fetchFlowEntry(): void {
    this.#removeKey();
    this.#keyAllowed = true;
    this.#indicate("flowEntry");
  }

  #fetchBlockEntry(): void {
    if (this.#flowLevel === 0) {
      this.#assertKeyAllowed("block sequence entries are not allowed in this context");
      this.#rollIndent(this.#cursor.column, "blockSequenceStart", this.#cursor.mark());
    }
    this.#removeKey();
    this.#keyAllowed = true;
    this.#indicate("blockEntry");
  }

  #fetchKey(): void {
    if (this.#flowLevel === 0) {
      this.#assertKeyAllowed("mapping keys are not allowed in this context");
      this.#rollIndent(this.#cursor.column, "blockMappingStart", this.#cursor.mark());
    }
    this.#removeKey();
    this.#keyAllowed = this.#flowLevel === 0;
    this.#indicate("key");
  }

  #fetchValue(): void {
    const key = this.#simpleKeys.at(-1);
    if (key !== undefined && this.#isStillKey(key)) {
      this.#insert(key.tokenNumber, { kind: "key", mark: key.mark });
      this.#rollIndent(key.mark.column, "blockMappingStart", key.mark, key.tokenNumber);
      key.possible = false;
      this.#simpleKeyByToken.delete(key.tokenNumber);
      this.#keyAllowed = false;
    } else {
      if (this.#flowLevel === 0) {
        this.#assertKeyAllowed("mapping values are not allowed in this context");
        this.#rollIndent(this.#cursor.column, "blockMappingStart", this.#cursor.mark());
      }
      this.#keyAllowed = this.#flowLevel === 0;
    }
    this.#indicate("value");
  }

  #assertKeyAllowed(problem: string): void {
    if (!this.#keyAllowed) throw this.#cursor.error(problem);
  }

  #indicate(kind: Indicator): void {
    this.#append({ kind, mark: this.#cursor.mark() });
    this.#cursor.skip();
  }

  /** The tokens that may start a key. */
  #fetchInline(scan: () => Token): void {
    this.#saveKey();
    this.#keyAllowed = false;
    this.#append(scan());
  }

  #fetchBlockScalar(literal: boolean): void {
    this.#removeKey();
    this.#keyAllowed = true;
    const mark = this.#cursor.mark();
    const text = scanBlockScalar(this.#cursor, literal, this.#indent);
    this.#append({ kind: "scalar", mark, text, isPlain: false });
  }

  #flowEnds(): ReadonlySet<number> {
    return this.#flowLevel === 0 ? NO_ENDS : this.#version === "1.1" ? FLOW_ENDS_1_1 : FLOW_ENDS_1_2;
  }

  #fetchPlain(): void {
    this.#saveKey();
    this.#keyAllowed = false;
    const mark = this.#cursor.mark();
    const { text, crossedLine } = scanPlainScalar(this.#cursor, this.#indent, this.#flowEnds());
    this.#append({ kind: "scalar", mark, text, isPlain: true });
    if (crossedLine) this.#keyAllowed = true;
  }
}
