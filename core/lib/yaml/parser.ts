/**
 * Parses tokens into events (go-yaml v2 `parserc.go`), and events into the tree of the first document (`decode.go`). An
 * alias points at the node that its anchor names. Nested nodes use heap memory, not the stack.
 */
import { type Mark, YamlError, type YamlSource } from "./cursor.ts";
import { type Indicator, Scanner, type Token, type YamlVersion } from "./scanner.ts";

/** The start of a node or the end of a collection. */
type YamlEvent =
  | {
    readonly kind: "scalar";
    readonly mark: Mark;
    readonly anchor: string;
    readonly tag: string;
    readonly text: string;
    /** True if the text determines the type: it is plain without a tag, or has the tag `!`. */
    readonly isImplicit: boolean;
  }
  | { readonly kind: "sequence" | "mapping"; readonly mark: Mark; readonly anchor: string; readonly tag: string }
  | { readonly kind: "alias"; readonly mark: Mark; readonly anchor: string }
  | { readonly kind: "end"; readonly mark: Mark };

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

/** Reads the events of the first document one by one. Throws YamlError with go-yaml's message. */
class EventReader {
  readonly #scanner: Scanner;
  readonly #versions: readonly string[];
  readonly #handles = new Map<string, string>();
  readonly #states: State[] = ["documentEnd"];
  #state: State = "blockNode";

  constructor(source: YamlSource, version: YamlVersion) {
    this.#scanner = new Scanner(source, version);
    this.#versions = version === "1.1" ? ["1.1"] : ["1.1", "1.2"];
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
    if (start.kind !== "documentStart") throw parserError("did not find expected <document start>", start.mark);
    scanner.skip();
    const content = scanner.peek();
    if (!NO_CONTENT.includes(content.kind)) return this.next();
    this.#state = this.#states.pop() ?? "documentEnd";
    return emptyScalar(content.mark);
  }

  /** Reads the token after the document, which must be valid. A single document must be the end of the text. */
  finish(isSingle: boolean): void {
    let token = this.#scanner.peek();
    while (isSingle && token.kind !== "streamEnd") {
      if (token.kind !== "documentEnd") throw parserError("found a second document", token.mark);
      this.#scanner.skip();
      token = this.#scanner.peek();
    }
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
        return { kind: "end", mark: this.#scanner.peek().mark };
      case "flowMappingFirst":
        return this.#flowMappingKey(true);
      case "flowMappingKey":
        return this.#flowMappingKey(false);
      case "flowMappingValue":
        return this.#flowMappingValue();
      case "flowMappingNoValue":
        this.#state = "flowMappingKey";
        return emptyScalar(this.#scanner.peek().mark);
      case "documentEnd":
        throw new YamlError("attempted to go past the end of stream; corrupted value?");
    }
  }

  #readDirectives(): void {
    let versionSeen = false;
    for (;;) {
      const token = this.#scanner.peek();
      if (token.kind !== "directive") break;
      const { directive, mark } = token;
      if (directive.kind === "version") {
        if (versionSeen) throw parserError("found duplicate %YAML directive", mark);
        if (!this.#versions.includes(directive.version)) throw parserError("found incompatible YAML document", mark);
        versionSeen = true;
      } else {
        if (this.#handles.has(directive.handle)) throw parserError("found duplicate %TAG directive", mark);
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
    const { mark } = token;
    if (token.kind === "alias") {
      this.#leave();
      return { kind: "alias", mark, anchor: this.#pass(token).name };
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
        return this.#open("sequence", "indentlessEntry", { mark, anchor, tag });
      case "scalar": {
        this.#leave();
        const { text, isPlain } = this.#pass(token);
        return { kind: "scalar", mark, anchor, tag, text, isImplicit: tag === "!" || (tag === "" && isPlain) };
      }
      case "flowSequenceStart":
        scanner.skip();
        return this.#open("sequence", "flowSequenceFirst", { mark, anchor, tag });
      case "flowMappingStart":
        scanner.skip();
        return this.#open("mapping", "flowMappingFirst", { mark, anchor, tag });
      case "blockSequenceStart":
        if (!isBlock) break;
        scanner.skip();
        return this.#open("sequence", "blockEntry", { mark, anchor, tag });
      case "blockMappingStart":
        if (!isBlock) break;
        scanner.skip();
        return this.#open("mapping", "blockKey", { mark, anchor, tag });
    }
    if (anchor === "" && tag === "") throw parserError("did not find expected node content", token.mark);
    this.#leave();
    return { ...emptyScalar(mark), anchor, tag, isImplicit: tag === "" };
  }

  #resolveTag(token: Token & { kind: "tag" }): string {
    if (token.handle === "") return token.suffix;
    const tag = `${this.#handles.get(token.handle) ?? ""}${this.#handles.has(token.handle) ? token.suffix : ""}`;
    if (tag === "") throw parserError("found undefined tag handle", token.mark);
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
    properties: { readonly mark: Mark; readonly anchor: string; readonly tag: string },
  ): YamlEvent {
    this.#state = state;
    return { kind, ...properties };
  }

  #close(): YamlEvent {
    const { mark } = this.#pass(this.#scanner.peek());
    this.#leave();
    return { kind: "end", mark };
  }

  /** Reads a node and continues in state `then`; the node is empty if the next token is one of `empty`. */
  #nodeOrEmpty(then: State, empty: readonly Indicator[], emptyMark: Mark, isBlock: boolean): YamlEvent {
    const token = this.#scanner.peek();
    if (empty.some((kind) => kind === token.kind)) {
      this.#state = then;
      return emptyScalar(emptyMark);
    }
    this.#states.push(then);
    return this.#node(isBlock, isBlock && then !== "blockEntry" && then !== "indentlessEntry");
  }

  #blockEntry(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "blockEntry") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("blockEntry", ["blockEntry", "blockEnd"], token.mark, true);
    }
    if (token.kind === "blockEnd") return this.#close();
    throw parserError("did not find expected '-' indicator", token.mark);
  }

  #indentlessEntry(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "blockEntry") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("indentlessEntry", ["blockEntry", "key", "value", "blockEnd"], token.mark, true);
    }
    this.#leave();
    return { kind: "end", mark: token.mark };
  }

  #blockKey(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "key") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("blockValue", ["key", "value", "blockEnd"], token.mark, true);
    }
    if (token.kind === "blockEnd") return this.#close();
    throw parserError("did not find expected key", token.mark);
  }

  #blockValue(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "value") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("blockKey", ["key", "value", "blockEnd"], token.mark, true);
    }
    this.#state = "blockKey";
    return emptyScalar(token.mark);
  }

  #flowSequenceEntry(isFirst: boolean): YamlEvent {
    let token = this.#scanner.peek();
    if (token.kind !== "flowSequenceEnd" && !isFirst) {
      if (token.kind !== "flowEntry") throw parserError("did not find expected ',' or ']'", token.mark);
      this.#scanner.skip();
      token = this.#scanner.peek();
    }
    if (token.kind === "flowSequenceEnd") return this.#close();
    if (token.kind === "key") {
      this.#scanner.skip();
      return this.#open("mapping", "pairKey", { mark: token.mark, anchor: "", tag: "" });
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
      return emptyScalar(token.mark);
    }
    this.#states.push("pairValue");
    return this.#node(false, false);
  }

  #pairValue(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "value") {
      this.#scanner.skip();
      return this.#nodeOrEmpty("pairEnd", ["flowEntry", "flowSequenceEnd"], token.mark, false);
    }
    this.#state = "pairEnd";
    return emptyScalar(token.mark);
  }

  #flowMappingKey(isFirst: boolean): YamlEvent {
    let token = this.#scanner.peek();
    if (token.kind !== "flowMappingEnd" && !isFirst) {
      if (token.kind !== "flowEntry") throw parserError("did not find expected ',' or '}'", token.mark);
      this.#scanner.skip();
      token = this.#scanner.peek();
    }
    if (token.kind === "flowMappingEnd") return this.#close();
    if (token.kind === "key") {
      this.#scanner.skip();
      const { mark } = this.#scanner.peek();
      return this.#nodeOrEmpty("flowMappingValue", ["value", "flowEntry", "flowMappingEnd"], mark, false);
    }
    this.#states.push("flowMappingNoValue");
    return this.#node(false, false);
  }

  #flowMappingValue(): YamlEvent {
    const token = this.#scanner.peek();
    if (token.kind === "value") {
      this.#scanner.skip();
      const { mark } = this.#scanner.peek();
      return this.#nodeOrEmpty("flowMappingKey", ["flowEntry", "flowMappingEnd"], mark, false);
    }
    this.#state = "flowMappingKey";
    return emptyScalar(token.mark);
  }
}

function emptyScalar(mark: Mark): YamlEvent & { kind: "scalar" } {
  return { kind: "scalar", mark, anchor: "", tag: "", text: "", isImplicit: true };
}

/** go-yaml's parser names lines from 0 and does not name the first, unlike its scanner. */
function parserError(problem: string, mark: Mark): YamlError {
  return new YamlError(problem, { mark, line: mark.line });
}

/** A scalar: its text and its tag. */
export interface ScalarNode {
  readonly kind: "scalar";
  readonly mark: Mark;
  readonly tag: string;
  readonly text: string;
  readonly isImplicit: boolean;
}

/** A list, or a mapping whose children are keys and values in turn. */
export interface CollectionNode {
  readonly kind: "sequence" | "mapping";
  readonly mark: Mark;
  readonly children: YamlNode[];
}

/** A reference to another node. */
export interface AliasNode {
  readonly kind: "alias";
  readonly mark: Mark;
  readonly name: string;
  readonly target: YamlNode;
}

/** A node of any kind. */
export type YamlNode = ScalarNode | CollectionNode | AliasNode;

/** How a document is parsed. */
export interface YamlOptions {
  /**
   * The version of YAML. In go-yaml's 1.1 a `?` ends plain text inside `[` and `{`; in 1.2 it may be within it, and the
   * directive `%YAML 1.2` is accepted.
   */
  readonly version: YamlVersion;
  /** Refuses a second document, which is ignored otherwise. */
  readonly isSingle: boolean;
  /** Counts the values of the document; throws if there are too many. */
  readonly budget?: { add(): void };
}

/** Builds the tree of the first document and returns its root; undefined if there is no document. */
export function readYamlTree(source: YamlSource, options: YamlOptions): YamlNode | undefined {
  const reader = new EventReader(source, options.version);
  const anchors = new Map<string, YamlNode>();
  const open: CollectionNode[] = [];
  for (let event = reader.first(); event !== undefined; event = reader.next()) {
    let node: YamlNode | undefined;
    if (event.kind === "end") node = open.pop();
    else {
      node = createNode(event, anchors);
      const parent = open.at(-1);
      parent?.children.push(node);
      // In a mapping, every second child is a key.
      if (parent?.kind === "sequence" || (parent !== undefined && parent.children.length % 2 === 0)) {
        options.budget?.add();
      }
      if (node.kind === "sequence" || node.kind === "mapping") {
        open.push(node);
        continue;
      }
    }
    if (open.length > 0) continue;
    reader.finish(options.isSingle);
    return node;
  }
  return undefined;
}

function createNode(event: Exclude<YamlEvent, { kind: "end" }>, anchors: Map<string, YamlNode>): YamlNode {
  const { mark, anchor } = event;
  if (event.kind === "alias") {
    const target = anchors.get(anchor);
    if (target === undefined) {
      throw new YamlError("unknown anchor referenced", { mark }, `unknown anchor '${anchor}' referenced`);
    }
    return { kind: "alias", mark, name: anchor, target };
  }
  const node: YamlNode = event.kind === "scalar"
    ? { kind: "scalar", mark, tag: event.tag, text: event.text, isImplicit: event.isImplicit }
    : { kind: event.kind, mark, children: [] };
  if (anchor !== "") anchors.set(anchor, node);
  return node;
}
