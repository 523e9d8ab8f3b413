/**
 * Parses YAML with js-yaml into the tree of the first document. The library reads YAML 1.2, and Kubernetes reads YAML 1.1
 * (go-yaml v2). Text that the two read differently is refused, so that no value differs. An error never quotes the text.
 */
import {
  COLLECTION_STYLE,
  type Event,
  EVENT_ID,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
} from "js-yaml";
import type { YamlVersion } from "./scalar.ts";

/** Reports text that is not YAML, or YAML that is not supported. */
export class YamlError extends Error {
  /** The offset of the fault in the text. */
  readonly at: number;

  constructor(problem: string, at: number) {
    super(problem);
    this.at = at;
  }
}

export interface ScalarNode {
  readonly kind: "scalar";
  readonly at: number;
  readonly text: string;
  /** True if the text determines the type: it has no quotes and no tag. */
  readonly isPlain: boolean;
}

/** A list, or a mapping whose children are keys and values in turn. */
export interface CollectionNode {
  readonly kind: "sequence" | "mapping";
  readonly at: number;
  readonly children: YamlNode[];
}

/** A reference to another node. */
export interface AliasNode {
  readonly kind: "alias";
  readonly at: number;
  readonly target: YamlNode;
}

/** A node of any kind. */
export type YamlNode = ScalarNode | CollectionNode | AliasNode;

/** How a document is parsed. */
export interface YamlOptions {
  readonly version: YamlVersion;
  /**
   * Refuses a second document, and integers beyond 2^53. Otherwise, the second document is ignored, and integers keep their
   * digits.
   */
  readonly isFile: boolean;
  /** Counts the values of the document; throws if there are too many. */
  readonly budget?: { add(): void };
}

/** The greatest depth of a document, which is read with one call for each level. */
export const MAX_LEVELS = 500;
/** The longest text, in UTF-16 units. A body of the API has at most 3 MiB. */
const MAX_LENGTH = 4 * 2 ** 20;
/** The largest number of indicators, including those within text, because the library has no limit. */
const MAX_INDICATORS = { ofFile: 1_000_000, ofRequest: 200_000 };
/** The longest key. go-yaml requires the colon within 1,024 characters. */
const MAX_KEY = 1_000;

/** Matches control characters, among them U+0085, lone surrogates, and byte order marks within the text. */
const FORBIDDEN = /(?!^\ufeff)[^\t\n\r -~\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]|\r(?!\n)/u;
const OTHER_BREAK = "a control character, or a line break other than LF and CRLF";
/** Matches characters that break a line in YAML 1.1 and are text in YAML 1.2. */
const OLD_BREAK = /[\u2028\u2029]/;
/** Matches such breaks in quotes that the versions read differently. In 1.1, blanks around a line break are not text. */
const FOLDED_BREAK = /[ \t\r\n][\u2028\u2029]|[\u2028\u2029](?:[ \t\r\n]|---|\.\.\.)/;
/** Matches any character except the blanks of YAML and a byte order mark at the start. */
const TEXT = /(?!^\ufeff)[^ \t\r\n]/;
const INDICATOR = /[-?:.](?=\s)|[,[{]/g;
const COMMENT = /(^|\s)#[^\n]*/g;
/** Matches an escaped line break with the blank line after it, or the first two characters of another escape. */
const ESCAPE = /\\(?:\r?\n[ \t]*(?<blankLine>\r?\n)?|[^\n\r])/g;

/** Returns the root of the first document; undefined if there is none. Throws YamlError. */
export function readYamlTree(source: string, options: YamlOptions): YamlNode | undefined {
  if (source.length > MAX_LENGTH) throw new YamlError("the text is too long", 0);
  const text = getFirstDocument(source, options.isFile);
  refuse(source.search(FORBIDDEN), OTHER_BREAK);
  refuse(text.search(DIRECTIVES[options.version]), "an unsupported directive");
  let rest = options.isFile ? MAX_INDICATORS.ofFile : MAX_INDICATORS.ofRequest;
  for (const { index } of text.matchAll(INDICATOR)) {
    if (rest-- === 0) throw new YamlError("too many values", index);
  }
  const [events, parsed] = parse(text);
  const end = text.search(/^\.\.\.(?=[ \t\r\n]|$)/m);
  if (events.length === 0 || TEXT.test(text.slice(end + 3))) {
    refuse(end, "a document ends here, but there is more text");
  }
  return new TreeBuilder(parsed, text, options).build(events);
}

/** Matches directives that are refused. */
const DIRECTIVES: Readonly<Record<YamlVersion, RegExp>> = {
  "1.1": /^\ufeff?%(?!YAML 1\.1\s)/m,
  "1.2": /^\ufeff?%(?!YAML 1\.[12]\s)/m,
};

/** Returns the text before the second document, which is refused if the document must be the only one. */
function getFirstDocument(text: string, isSingle: boolean): string {
  const marker = /^---(?=[ \t\r\n]|$)/m;
  const first = text.search(marker);
  const isStart = first >= 0 && !TEXT.test(text.slice(0, first).replace(/^(?:[ \t]*#|%).*/gm, ""));
  const from = isStart ? first + 3 : 0;
  const second = text.slice(from).search(marker);
  if (isSingle && second >= 0) throw new YamlError("a second document", from + second);
  return second < 0 ? text : text.slice(0, from + second);
}

/** Throws YamlError, unless the offset is -1. */
function refuse(at: number, problem: string): void {
  if (at >= 0) throw new YamlError(problem, at);
}

/**
 * Parses a text, and returns the events and the text that was parsed. Formatters put a closing bracket in the column of its
 * key, which the library refuses. The line break before such a bracket, and a comment before that, are replaced by spaces.
 */
function parse(text: string): readonly [readonly Event[], string] {
  try {
    return [parseEvents(text, { maxDepth: MAX_LEVELS }), text];
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const lines = text.split("\n");
    const joined = lines.map((line, at) => {
      const start = line.search(/(?:^|\s)#|\r?$/);
      // What looks like a comment may be the end of text in quotes.
      if (!/^ *[\]}]/.test(lines[at + 1] ?? "") || /['"]/.test(line.slice(start))) return `${line}\n`;
      return line.slice(0, start).padEnd(line.length + 1);
    }).join("").slice(0, -1);
    if (error.reason === "deficient indentation" && joined !== text) return parse(joined);
    // The library's reasons and its snippets may quote the text.
    const [, message = "unexpected text"] = MESSAGES.find(([prefix]) => error.reason.startsWith(prefix)) ?? [];
    throw new YamlError(message, error.mark?.position ?? 0);
  }
}

/** Prefixes of the library's reasons, each with the message that is reported instead. */
const MESSAGES: readonly (readonly [prefix: string, message: string])[] = [
  ["bad indentation", "unexpected text or indentation"],
  ["deficient indentation", "this line must be indented more than its key"],
  ["tab characters must not", "a tab cannot indent; use spaces"],
  ["missed comma", "a comma or a closing bracket is missing before this"],
  ["unexpected end of the stream within a flow", "a closing bracket is missing"],
  ["unexpected end of the", "a closing quote is missing"],
  ["expected ':'", "a colon is missing after a key"],
  ["can not read a block mapping entry", "a colon is missing after a key"],
  ["nesting exceeded", "too many levels"],
  ["unknown escape", "an unknown escape sequence"],
];

/** An event of a scalar, a list or a mapping. */
type NodeEvent = Extract<Event, { readonly tagStart: number }>;

/** Builds a tree from events. Checks the text of values and the text between them. */
class TreeBuilder {
  readonly #text: string;
  readonly #original: string;
  readonly #options: YamlOptions;
  readonly #anchors = new Map<string, YamlNode>();
  /** The collections around the next node, outermost first. */
  readonly #open: { readonly node: CollectionNode; readonly isFlow: boolean }[] = [];
  /** The end of the text that was read. */
  #end = 0;
  /** True if the text before the end is within brackets. */
  #isFlow = false;
  /** True before a key or an element of a block other than the first. */
  #isNext = false;
  /** True if the last value is in quotes. */
  #isQuoted = false;

  /** @param original the text before brackets were moved and comments removed */
  constructor(text: string, original: string, options: YamlOptions) {
    this.#text = text;
    this.#original = original;
    this.#options = options;
  }

  build(events: readonly Event[]): YamlNode | undefined {
    let root: YamlNode | undefined;
    for (const event of events) {
      if (event.type === EVENT_ID.POP) this.#open.pop();
      if (event.type === EVENT_ID.POP || event.type === EVENT_ID.DOCUMENT) continue;
      const { node: parent, isFlow } = this.#open.at(-1) ?? {};
      const isKey = parent?.kind === "mapping" && parent.children.length % 2 === 0;
      this.#isNext = isFlow === false && parent?.children.length !== 0 && (isKey || parent?.kind === "sequence");
      if (parent !== undefined && !isKey) this.#options.budget?.add();
      const node = event.type === EVENT_ID.ALIAS ? this.#alias(event) : this.#node(event, isKey);
      parent?.children.push(node);
      root ??= node;
    }
    this.#pass(this.#text.length, this.#text.length);
    if (root?.kind === "scalar" && root.text !== "" && /\n./s.test(this.#text.trimStart())) {
      throw new YamlError("want a mapping or a list", root.at);
    }
    return root;
  }

  #alias({ anchorStart, anchorEnd }: { readonly anchorStart: number; readonly anchorEnd: number }): AliasNode {
    const at = anchorStart - 1;
    const target = this.#anchors.get(this.#name(anchorStart, anchorEnd));
    if (target === undefined) throw new YamlError("an alias without an anchor before it", at);
    if (this.#open.some(({ node }) => node === target)) throw new YamlError("an anchor contains itself", at);
    return { kind: "alias", at, target };
  }

  #node(event: NodeEvent, isKey: boolean): YamlNode {
    const { anchorStart, anchorEnd, tagStart, tagEnd } = event;
    if (tagStart >= 0 && (event.type !== EVENT_ID.SCALAR || this.#text.slice(tagStart, tagEnd) !== "!!str")) {
      throw new YamlError("a tag other than !!str", tagStart);
    }
    const from = this.#end;
    if (tagStart >= 0 && tagStart < anchorStart) this.#pass(tagStart, tagEnd);
    const anchor = anchorStart < 0 ? "" : this.#name(anchorStart, anchorEnd);
    if (tagStart > anchorStart) this.#pass(tagStart, tagEnd);
    const node = event.type === EVENT_ID.SCALAR ? this.#scalar(event, isKey) : this.#collection(event, from);
    if (anchor !== "") this.#anchors.set(anchor, node);
    return node;
  }

  /** Reads the name of an anchor or an alias. */
  #name(start: number, end: number): string {
    const name = this.#text.slice(start, end);
    if (!/^[\w-]+$/.test(name) || /[[{]/.test(this.#text.charAt(end))) {
      throw new YamlError("an anchor name may contain only ASCII letters, digits, hyphens and underscores", start);
    }
    this.#pass(start - 1, end);
    return name;
  }

  /** @param from the end of the value before the collection and its anchor */
  #collection({ type, style, start }: Exclude<NodeEvent, ScalarEvent>, from: number): CollectionNode {
    const kind = type === EVENT_ID.MAPPING ? "mapping" : "sequence";
    const isFlow = style === COLLECTION_STYLE.FLOW;
    // The library reads `a: &x b: c` as a mapping in a mapping.
    const isInMapping = this.#open.at(-1)?.node.kind === "mapping";
    if (kind === "mapping" && !isFlow && isInMapping && !this.#text.slice(from - 1, start).includes("\n")) {
      throw new YamlError("a mapping must start on a new line after its key", start);
    }
    this.#pass(start, start);
    const node: CollectionNode = { kind, at: start, children: [] };
    this.#open.push({ node, isFlow });
    return node;
  }

  #scalar(event: ScalarEvent, isKey: boolean): ScalarNode {
    const { style, valueStart, valueEnd } = event;
    const before = this.#end;
    const isPlain = style === SCALAR_STYLE.PLAIN && event.tagStart < 0;
    if (valueStart < 0) return { kind: "scalar", at: before, text: "", isPlain };
    const isQuoted = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED;
    const isBlock = !isQuoted && style !== SCALAR_STYLE.PLAIN;
    const quote = isQuoted ? 1 : 0;
    this.#pass(valueStart - quote, valueEnd + quote);
    this.#isQuoted = isQuoted;
    const source = this.#text.slice(valueStart, valueEnd);
    refuseBreak(isQuoted && !isKey ? FOLDED_BREAK : OLD_BREAK, source, valueStart);
    const at = isBlock ? before : valueStart;
    if (isKey && (source.length > MAX_KEY || (this.#isFlow && source.includes("\n")))) {
      throw new YamlError("a key is too long, or has several lines", at);
    }
    if (source !== this.#original.slice(valueStart, valueEnd)) {
      throw new YamlError("a line of this text starts with a closing bracket, and another bracket is not indented", at);
    }
    if (style === SCALAR_STYLE.PLAIN) this.#checkPlain(source, at);
    if (style === SCALAR_STYLE.DOUBLE_QUOTED) checkEscapes(source, at);
    if (isBlock && /^\s*\t/.test(source)) throw new YamlError("a tab cannot indent; use spaces", valueStart);
    const text = getScalarValue(this.#text, event);
    // The library ends the last line of a block, even if the text does not.
    const isCut = isBlock && valueEnd === this.#text.length && !source.endsWith("\n") && text.endsWith("\n");
    return { kind: "scalar", at, text: isCut ? text.slice(0, -1) : text, isPlain };
  }

  #checkPlain(source: string, at: number): void {
    if (/\n *\t/.test(source)) throw new YamlError("a tab cannot indent; use spaces", at);
    if (this.#isFlow && (source.startsWith(":") || (this.#options.version === "1.1" && source.includes("?")))) {
      throw new YamlError("within brackets, text with : or ? needs quotes", at);
    }
  }

  /** Moves to the end of the next value, and checks the text before it. */
  #pass(to: number, end: number): void {
    const start = this.#end;
    const passed = this.#text.slice(start, to);
    refuseBreak(OLD_BREAK, passed, start);
    const isLineStart = start === 0 || this.#text[start - 1] === "\n";
    const gap = (isLineStart ? "\n" : "") + passed.replace(COMMENT, "$1");
    const isFlow = this.#open.at(-1)?.isFlow ?? false;
    const flowEnd = isFlow ? gap.length : this.#isFlow ? Math.max(gap.lastIndexOf("]"), gap.lastIndexOf("}")) + 1 : 0;
    if (/[\n\ufeff:?-] *\t/.test(gap)) throw new YamlError("a tab before a value; use spaces", start);
    if (/ ---|^ {16,}:/.test(gap) || (this.#isNext && !gap.includes("\n"))) {
      throw new YamlError("unexpected text", start);
    }
    if ((this.#isQuoted ? /\?|\n *:/ : /\?|\n *:|:(?! |\n)/).test(gap.slice(0, flowEnd))) {
      throw new YamlError("within brackets, a key needs a colon and a space after it, on its line", start);
    }
    this.#isFlow = isFlow;
    this.#isNext = false;
    this.#isQuoted = false;
    this.#end = end;
  }
}

/** Throws YamlError if a part of the text, which starts at an offset, matches. */
function refuseBreak(pattern: RegExp, part: string, start: number): void {
  const at = part.search(pattern);
  if (at >= 0) throw new YamlError(OTHER_BREAK, start + at);
}

function checkEscapes(source: string, at: number): void {
  for (const { 0: escape, index, groups } of source.matchAll(ESCAPE)) {
    const digits = source.slice(index + 2, index + 10);
    const isCharacter = escape === "\\u"
      ? !/^d[89a-f]/i.test(digits)
      : escape !== "\\U" || /^00(?:0[1-9a-f]|10)|^0000(?!d[89a-f])/i.test(digits);
    if (!isCharacter || escape === "\\/" || escape === "\\\t" || groups?.["blankLine"] !== undefined) {
      throw new YamlError("an escape sequence that YAML 1.1 does not know", at + index);
    }
  }
}
