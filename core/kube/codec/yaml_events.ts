/** Parses tokens into the events of the first document (go-yaml v2 `parserc.go`). Nesting takes memory and no stack. */
import { JsonSyntaxError } from "./errors.ts";
import { type Indicator, Scanner, type Token } from "./yaml_scanner.ts";
import type { YamlSource } from "./yaml_source.ts";

/** The start of a node or the end of a collection. `line` counts from 0. */
export type YamlEvent =
  | {
    readonly kind: "scalar";
    readonly line: number;
    readonly anchor: string;
    readonly tag: string;
    readonly text: string;
    /** True if the text determines the type: it is plain without a tag, or has the tag `!`. */
    readonly isImplicit: boolean;
  }
  | { readonly kind: "sequence" | "mapping"; readonly line: number; readonly anchor: string; readonly tag: string }
  | { readonly kind: "alias"; readonly line: number; readonly anchor: string }
  | { readonly kind: "end"; readonly line: number };

/** The states of the parser, each named after the part that it expects next. */
type State =
  | "blockNode"
  | "blockEntry"
  | "indentlessEntry"
  | "blockKey"
  | "blockValue"
  | "flowSequenceFirst"
  | "flowSequenceEntry"
  | "pairKey"
  | "pairValue"
  | "pairEnd"
  | "flowMappingFirst"
  | "flowMappingKey"
  | "flowMappingValue"
  | "flowMappingNoValue"
  | "documentEnd";

/** Tag handles that every document knows. */
const STANDARD_HANDLES: readonly (readonly [string, string])[] = [["!", "!"], ["!!", "tag:yaml.org,2002:"]];

const NO_CONTENT: readonly Token["kind"][] = [
  "directive",
  "documentStart",
  "documentEnd",
  "streamEnd",
];

/** Reads the events of the first document one by one. Throws JsonSyntaxError with go-yaml's message. */
export class EventReader {
  readonly #scanner: Scanner;
  readonly #handles = new Map<string, string>();
  readonly #states: State[] = ["documentEnd"];
  #state: State = "blockNode";

  constructor(source: YamlSource) {
    this.#scanner = new Scanner(source);
  }

  /** Returns the first event of the document; undefined if there is no document. */
  first(): YamlEvent | undefined {
    const scanner = this.#scanner;
    scanner.peek();
    scanner.skip();
    const token = scanner.peek();
    if (token.kind === "streamEnd") return undefined;
    const isExplicit = token.kind === "directive" || token.kind === "documentStart";
    this.#readDirectives();
    if (!isExplicit) return this.next();
    const start = scanner.peek();
    if (start.kind !== "documentStart") throw parserError("did not find expected <document start>", start.line);
    scanner.skip();
    const content = scanner.peek();
    if (!NO_CONTENT.includes(content.kind)) return this.next();
    this.#state = this.#states.pop() ?? "documentEnd";
    return emptyScalar(content.line);
  }

  /** Reads the token after the document, which must be valid. */
  finish(): void {
    this.#scanner.peek();
  }

  /** Returns the next event of the document. */
  next(): YamlEvent {
    switch (this.#state) {
      case "blockNode":
        return this.#node(true, false);
      case "blockEntry":
        return this.#blockEntry();
      case "indentlessEntry":
        return this.#indentlessEntry();
      case "blockKey":
        return this.#blockKey();
      case "blockValue":
        return this.#blockValue();
      case "flowSequenceFirst":
        return this.#flowSequenceEntry(true);
      case "flowSequenceEntry":
        return this.#flowSequenceEntry(false);
      case "pairKey":
        return this.#pairKey();
      case "pairValue":
        return this.#pairValue();
      case "pairEnd":
        this.#state = "flowSequenceEntry";
        return { kind: "end", line: this.#scanner.peek().line };
      case "flowMappingFirst":
        return this.#flowMappingKey(true);
      case "flowMappingKey":
        return this.#flowMappingKey(false);
      case "flowMappingValue":
        return this.#flowMappingValue();
      case "flowMappingNoValue":
        this.#state = "flowMappingKey";
        return emptyScalar(this.#scanner.peek().line);
      case "documentEnd":
        throw new JsonSyntaxError("yaml: attempted to go past the end of stream; corrupted value?");
    }
  }

  #readDirectives(): void {
    let versionSeen = false;
    for (;;) {
      const token = this.#scanner.peek();
      if (token.kind !== "directive") break;
      const { directive, line } = token;
      if (directive.kind === "version") {
        if (versionSeen) throw parserError("found duplicate %YAML directive", line);
        if (directive.version !== "1.1") throw parserError("found incompatible YAML document", line);
        versionSeen = true;
      } else {
        if (this.#handles.has(directive.handle)) throw parserError("found duplicate %TAG directive", line);
        this.#handles.set(directive.handle, directive.prefix);
      }
      this.#scanner.skip();
    }
    for (const [handle, prefix] of STANDARD_HANDLES) {
      if (!this.#handles.has(handle)) this.#handles.set(handle, prefix);
    }
  }

  /** Anchor and tag in any order, then the content. */
  #node(isBlock: boolean, mayBeIndentless: boolean): YamlEvent {
    const scanner = this.#scanner;
    let token = scanner.peek();
    const { line } = token;
    if (token.kind === "alias") {
      this.#leave();
      return { kind: "alias", line, anchor: this.#pass(token).name };
    }
    let anchor = "";
    let tag = "";
    const readAnchor = (): void => {
      if (token.kind !== "anchor") return;
      anchor = this.#pass(token).name;
      token = scanner.peek();
    };
    let tagToken: (Token & { kind: "tag" }) | undefined;
    readAnchor();
    if (token.kind === "tag") {
      tagToken = this.#pass(token);
      token = scanner.peek();
      if (anchor === "") readAnchor();
    }
    if (tagToken !== undefined) tag = this.#resolveTag(tagToken);
    switch (token.kind) {
      case "blockEntry":
        if (!mayBeIndentless) break;
        return this.#open("sequence", "indentlessEntry", { line, anchor, tag });
      case "scalar": {
        this.#leave();
        const { text, isPlain } = this.#pass(token);
        return { kind: "scalar", line, anchor, tag, text, isImplicit: tag === "!" || (tag === "" && isPlain) };
      }
      case "flowSequenceStart":
        scanner.skip();
        return this.#open("sequence", "flowSequenceFirst", { line, anchor, tag });
      case "flowMappingStart":
        scanner.skip();
        return this.#open("mapping", "flowMappingFirst", { line, anchor, tag });
      case "blockSequenceStart":
        if (!isBlock) break;
        scanner.skip();
        return this.#open("sequence", "blockEntry", { line, anchor, tag });
      case "blockMappingStart":
        if (!isBlock) break;
        scanner.skip();
        return this.#open("mapping", "blockKey", { line, anchor, tag });
    }
    if (anchor === "" && tag === "") throw parserError("did not find expected node content", token.line);
    this.#leave();
    return { ...emptyScalar(line), anchor, tag, isImplicit: tag === "" };
  }

  #resolveTag(token: Token & { kind: "tag" }): string {
    if (token.handle === "") return token.suffix;
    const tag = `${this.#handles.get(token.handle) ?? ""}${this.#handles.has(token.handle) ? token.suffix : ""}`;
    if (tag === "") throw parserError("found undefined tag handle", token.line);
    return tag;
  }

  #pass<T extends Token>(token: T): T {
    this.#scanner.skip();
    return token;
  }

  #leave(): void {
    this.#state = this.#states.pop() ?? "documentEnd";
  }

  #open(
    kind: "sequence" | "mapping",
    state: State,
    properties: { readonly line: number; readonly anchor: string; readonly tag: string },
  ): YamlEvent {
    this.#state = state;
    return { kind, ...properties };
  }

  #close(): YamlEvent {
    const { line } = this.#pass(this.#scanner.peek());
    this.#leave();
    return { kind: "end", line };
  }

  /** Reads a node and continues in state `then`; the node is empty if the next token is one of `empty`. */
  #nodeOrEmpty(then: State, empty: readonly Indicator[], emptyLine: number, isBlock: boolean): YamlEvent {
    const token = this.#scanner.peek();
    if (empty.some((kind) => kind === token.kind)) {
      this.#state = then;
      return emptyScalar(emptyLine);
    }
    this.#states.push(then);
    return this.#node(isBlock, isBlock && then !== "blockEntry" && then !== "indentlessEntry");
  }

  #blockEntry(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "blockEntry") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("blockEntry", ["blockEntry", "blockEnd"], token.line, true);
    }
    if (token.kind === "blockEnd") return this.#close();
    throw parserError("did not find expected '-' indicator", token.line);
  }

  #indentlessEntry(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "blockEntry") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("indentlessEntry", ["blockEntry", "key", "value", "blockEnd"], token.line, true);
    }
    this.#leave();
    return { kind: "end", line: token.line };
  }

  #blockKey(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "key") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("blockValue", ["key", "value", "blockEnd"], token.line, true);
    }
    if (token.kind === "blockEnd") return this.#close();
    throw parserError("did not find expected key", token.line);
  }

  #blockValue(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "value") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("blockKey", ["key", "value", "blockEnd"], token.line, true);
    }
    this.#state = "blockKey";
    return emptyScalar(token.line);
  }

  #flowSequenceEntry(isFirst: boolean): YamlEvent {
    let token = this.#scanner.peek();
    if (token.kind !== "flowSequenceEnd" && !isFirst) {
      if (token.kind !== "flowEntry") throw parserError("did not find expected ',' or ']'", token.line);
      this.#scanner.skip();
      token = this.#scanner.peek();
    }
    if (token.kind === "flowSequenceEnd") return this.#close();
    if (token.kind === "key") {
      this.#scanner.skip();
      return this.#open("mapping", "pairKey", { line: token.line, anchor: "", tag: "" });
    }
    this.#states.push("flowSequenceEntry");
    return this.#node(false, false);
  }

  /** Reads a mapping of one pair inside `[…]`. */
  #pairKey(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "value" || token.kind === "flowEntry" || token.kind === "flowSequenceEnd") {
      // Upstream skips the token here, so that `[? : a]` and `[?]` differ from the YAML specification.
      this.#scanner.skip();
      this.#state = "pairValue";
      return emptyScalar(token.line);
    }
    this.#states.push("pairValue");
    return this.#node(false, false);
  }

  #pairValue(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "value") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("pairEnd", ["flowEntry", "flowSequenceEnd"], token.line, false);
    }
    this.#state = "pairEnd";
    return emptyScalar(token.line);
  }

  #flowMappingKey(isFirst: boolean): YamlEvent {
    let token = this.#scanner.peek();
    if (token.kind !== "flowMappingEnd" && !isFirst) {
      if (token.kind !== "flowEntry") throw parserError("did not find expected ',' or '}'", token.line);
      this.#scanner.skip();
      token = this.#scanner.peek();
    }
    if (token.kind === "flowMappingEnd") return this.#close();
    if (token.kind === "key") {
      this.#scanner.skip();
      const { line } = this.#scanner.peek();
      return this.#nodeOrEmpty("flowMappingValue", ["value", "flowEntry", "flowMappingEnd"], line, false);
    }
    this.#states.push("flowMappingNoValue");
    return this.#node(false, false);
  }

  #flowMappingValue(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "value") {
      this.#scanner.skip();
      const { line } = this.#scanner.peek();
      return this.#nodeOrEmpty("flowMappingKey", ["flowEntry", "flowMappingEnd"], line, false);
    }
    this.#state = "flowMappingKey";
    return emptyScalar(token.line);
  }
}

function emptyScalar(line: number): YamlEvent & { kind: "scalar" } {
  return { kind: "scalar", line, anchor: "", tag: "", text: "", isImplicit: true };
}

/** Lines count from 0 here and are not made to count from 1, as in go-yaml; the first is not named. */
function parserError(problem: string, line: number): JsonSyntaxError {
  return new JsonSyntaxError(`yaml: ${line === 0 ? "" : `line ${line}: `}${problem}`);
}
