/**
 * Parses YAML as the API machinery does (sigs.k8s.io/yaml over go-yaml v2): only the first document, with YAML 1.1
 * words and limited aliases. Then it is converted to JSON: keys become text and are sorted. It runs in linear time.
 */
import { compareBytes } from "../../lib/byte_order.ts";
import { readYamlSource, YamlError } from "../../lib/yaml/cursor.ts";
import {
  type AliasNode,
  type CollectionNode,
  readYamlTree,
  type ScalarNode,
  type YamlNode,
} from "../../lib/yaml/parser.ts";
import { type GoNumber, type GoScalar, resolveTagged, STANDARD_TAG } from "../../lib/yaml/scalar.ts";
import { goQuote } from "../../lib/quote.ts";
import { canonicalBase64, decodeCanonicalBase64 } from "./base64.ts";
import { ElementBudget } from "./element_budget.ts";
import { DecodeError, JsonSyntaxError } from "./errors.ts";
import { isNumberLike, type JsonDocument, type JsonMember, MAX_JSON_DEPTH, setOwn } from "./json_document.ts";
import { decodeUtf8 } from "../../lib/utf8.ts";
import { finishWalk, type Walk } from "./walk.ts";
import { findJsonKey, goFloat, GoMap, goTypeName, type GoValue, isGoNumber, printGoSyntax } from "./yaml_go_value.ts";

/**
 * Parses YAML text, or bytes in UTF-8 or UTF-16; throws `JsonSyntaxError` with the library's message. Repeated keys are
 * in `strictErrors`, with Go's message. Members are sorted, as in the JSON to which Kubernetes converts YAML first; if
 * that JSON is nested too deeply, the `DecodeError` is that of its parser. StatusError 413 for too many values.
 */
export function parseYaml(source: string | Uint8Array): JsonDocument {
  try {
    return readDocument(source);
  } catch (error) {
    throw error instanceof YamlError ? new JsonSyntaxError(error.message, error) : error;
  }
}

function readDocument(source: string | Uint8Array): JsonDocument {
  const budget = new ElementBudget();
  const tree = readYamlTree(readYamlSource(source), { version: "1.1", isSingle: false, budget });
  if (tree === undefined) return { value: null, duplicates: [] };
  const reader = new ValueReader(budget);
  const value = reader.read(tree);
  const writer = new JsonWriter();
  return {
    value: writer.write(value),
    duplicates: [],
    ...(writer.members.size > 0 ? { members: writer.members } : {}),
    ...(reader.repeated.length > 0
      ? { strictErrors: [`yaml: unmarshal errors:\n  ${reader.repeated.join("\n  ")}`] }
      : {}),
  };
}

/** The number of characters of repeated text that count as one element. */
const CHARS_PER_ELEMENT = 64;

const MERGE_TAG = `${STANDARD_TAG}merge`;

/** Converts the tree of one document to a value. */
class ValueReader {
  /** The messages of strict decoding about repeated keys. */
  readonly repeated: string[] = [];
  /** Aliases whose targets are being read. */
  readonly #expanding = new Set<AliasNode>();
  readonly #budget: ElementBudget;
  #count = 1;
  #aliasCount = 0;

  constructor(budget: ElementBudget) {
    this.#budget = budget;
  }

  /** Converts the root of a tree. Throws JsonSyntaxError. */
  read(root: YamlNode): GoValue {
    return finishWalk(this.#node(root));
  }

  *#node(node: YamlNode): Walk<GoValue> {
    this.#countNode(node.kind === "scalar" ? node.text.length : 0);
    switch (node.kind) {
      case "scalar":
        return scalarValue(node);
      case "alias":
        return yield* this.#alias(node);
      case "sequence": {
        const items: GoValue[] = [];
        for (const child of node.children) {
          if (child.kind === "scalar") {
            this.#countNode(child.text.length);
            items.push(scalarValue(child));
          } else items.push(yield this.#node(child));
        }
        return items;
      }
      case "mapping": {
        const map = new GoMap();
        yield this.#mapping(node, map);
        return map;
      }
    }
  }

  *#alias(node: AliasNode, into?: GoMap): Walk<GoValue> {
    if (this.#expanding.has(node)) {
      throw new JsonSyntaxError(`yaml: anchor '${node.name}' value contains itself`);
    }
    this.#expanding.add(node);
    let value: GoValue;
    if (into !== undefined && node.target.kind === "mapping") {
      this.#countNode();
      value = yield this.#mapping(node.target, into);
    } else value = yield this.#node(node.target);
    this.#expanding.delete(node);
    return value;
  }

  /**
   * Limits aliases. The larger the document, the smaller the share that they may have in it. Repeated elements count
   * each time, and long text counts as several elements.
   */
  #countNode(length = 0): void {
    this.#count++;
    if (this.#expanding.size > 0) {
      this.#aliasCount++;
      for (let left = length; left >= 0; left -= CHARS_PER_ELEMENT) this.#budget.add();
    }
    if (this.#aliasCount <= 100 || this.#count <= 1_000) return;
    const large = Math.min(1, Math.max(0, (this.#count - 400_000) / 3_600_000));
    if (this.#aliasCount / this.#count > 0.99 - 0.89 * large) {
      throw new JsonSyntaxError("yaml: document contains excessive aliasing");
    }
  }

  *#mapping(node: CollectionNode, into: GoMap): Walk<GoValue> {
    for (let i = 0; i + 1 < node.children.length; i += 2) {
      const keyNode = node.children[i];
      const valueNode = node.children[i + 1];
      if (keyNode === undefined || valueNode === undefined) break;
      if (isMergeKey(keyNode)) {
        yield this.#merge(valueNode, into);
        continue;
      }
      const key = asKey(yield this.#node(keyNode));
      const value: GoValue = yield this.#node(valueNode);
      if (into.has(key)) this.repeated.push(`line ${valueNode.mark.line + 1}: key ${printKey(key)} already set in map`);
      into.set(key, value);
    }
    return into;
  }

  /** Sets the pairs of the mappings that `<<` names; in a list of mappings, the first one wins. */
  *#merge(node: YamlNode, into: GoMap): Walk<GoValue> {
    const sources = node.kind === "sequence" ? node.children.toReversed() : [node];
    for (const source of sources) {
      if (source.kind === "mapping") {
        this.#countNode();
        yield this.#mapping(source, into);
      } else if (source.kind === "alias" && source.target.kind === "mapping") {
        this.#countNode();
        yield this.#alias(source, into);
      } else throw new JsonSyntaxError("yaml: map merge requires map or sequence of maps as the value");
    }
    return into;
  }
}

function scalarValue(node: ScalarNode): GoScalar {
  if (node.tag === "" && !node.isImplicit) return node.text;
  return node.tag === BINARY_TAG ? decodeBinary(node.text) : resolveTagged(node, "1.1");
}

const BINARY_TAG = `${STANDARD_TAG}binary`;

function decodeBinary(text: string): string {
  try {
    return decodeUtf8(decodeCanonicalBase64(canonicalBase64(text))).toWellFormed();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new JsonSyntaxError("yaml: !!binary value contains invalid base64 data", error);
  }
}

function isMergeKey(node: YamlNode): boolean {
  return node.kind === "scalar" && node.text === "<<" && (node.isImplicit || node.tag === MERGE_TAG);
}

function asKey(value: GoValue): GoScalar {
  if (typeof value !== "object" || value === null || "literal" in value) return value;
  throw new JsonSyntaxError(`yaml: invalid map key: ${printGoSyntax(value)}`);
}

function printKey(key: GoScalar): string {
  return typeof key === "string" ? goQuote(key) : printGoSyntax(key);
}

/** Converts the value of one document. */
class JsonWriter {
  /** The members of the objects and arrays that plain values do not keep as written. */
  readonly members = new Map<object, readonly JsonMember[]>();
  #depth = 0;
  /** The first number that JSON cannot express, which is reported after faults of keys and before those of depth. */
  #unsupported: GoNumber | undefined;
  #tooDeep: "[" | "{" | undefined;

  /** Converts a value. Throws JsonSyntaxError for keys and numbers that JSON cannot express, DecodeError for depth. */
  write(value: GoValue): unknown {
    const written = finishWalk<unknown>(this.#value(value));
    if (this.#unsupported !== undefined) {
      throw new JsonSyntaxError(`json: unsupported value: ${goFloat(this.#unsupported.value, 64)}`);
    }
    if (this.#tooDeep !== undefined) {
      const why = `invalid character '${this.#tooDeep}' exceeded max depth`;
      throw new DecodeError(`couldn't get version/kind; json parse error: ${why}`);
    }
    return written;
  }

  *#value(value: GoValue): Walk<unknown> {
    if (typeof value !== "object" || value === null) return value;
    if (isGoNumber(value)) return this.#number(value);
    this.#depth++;
    if (this.#depth > MAX_JSON_DEPTH) this.#tooDeep ??= value instanceof GoMap ? "{" : "[";
    const written = value instanceof GoMap ? yield this.#map(value) : yield this.#list(value);
    this.#depth--;
    return written;
  }

  #number(value: GoNumber): number {
    if (!Number.isFinite(value.value)) this.#unsupported ??= value;
    return value.value;
  }

  *#list(items: readonly GoValue[]): Walk<unknown> {
    const list: unknown[] = [];
    let isPlain = true;
    for (const item of items) {
      list.push(isContainer(item) ? yield this.#value(item) : this.#scalar(item));
      isPlain &&= findLiteral(item) === undefined;
    }
    if (!isPlain) {
      this.members.set(list, items.map((item, index) => toMember(String(index), list[index], item)));
    }
    return list;
  }

  *#map(map: GoMap): Walk<unknown> {
    const entries: { readonly key: string; readonly value: GoValue }[] = [];
    for (const { key, value } of map.entries()) {
      const name = findJsonKey(key);
      if (name === undefined) {
        const shown = `key: ${printGoSyntax(key)}, value: ${printGoSyntax(value)}`;
        throw new JsonSyntaxError(`unsupported map key of type: ${goTypeName(key)}, ${shown}`);
      }
      entries.push({ key: name, value });
    }
    entries.sort((a, b) => compareBytes(a.key, b.key));
    const object: Record<string, unknown> = {};
    let isPlain = true;
    for (const { key, value } of entries) {
      setOwn(object, key, isContainer(value) ? yield this.#value(value) : this.#scalar(value));
      isPlain &&= findLiteral(value) === undefined && !isNumberLike(key);
    }
    if (!isPlain) this.members.set(object, entries.map(({ key, value }) => toMember(key, object[key], value)));
    return object;
  }

  #scalar(value: GoValue): unknown {
    return typeof value === "object" && value !== null && isGoNumber(value) ? this.#number(value) : value;
  }
}

function isContainer(value: GoValue): boolean {
  return typeof value === "object" && value !== null && !isGoNumber(value);
}

/** Finds the JSON text of a number that JavaScript prints differently. */
function findLiteral(value: GoValue): string | undefined {
  if (typeof value !== "object" || value === null || !isGoNumber(value)) return undefined;
  return String(value.value) === value.literal ? undefined : value.literal;
}

function toMember(key: string, value: unknown, source: GoValue): JsonMember {
  const literal = findLiteral(source);
  return { key, value, ...(literal === undefined ? {} : { literal }) };
}
