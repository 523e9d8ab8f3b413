/**
 * YAML as the API machinery reads it (sigs.k8s.io/yaml over go-yaml v2): the first document only, keys become text,
 * YAML 1.1 words, aliases within limits. The library reads the syntax, what scalars mean is decided here.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from "yaml";
import { resolvePlain } from "./_yaml_scalar.ts";
import { canonicalBase64, decodeBase64 } from "./base64.ts";
import { JsonSyntaxError } from "./errors.ts";
import { goQuote } from "./go_quote.ts";
import { type JsonDocument, setOwn } from "./json_parser.ts";

const STANDARD_TAG = "tag:yaml.org,2002:";

/** Parses YAML text; throws `JsonSyntaxError`. Repeated keys stand in `strictErrors`, in Go's words. */
export function parseYaml(text: string): JsonDocument {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      schema: "failsafe",
      resolveKnownTags: false,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: "silent",
      lineCounter: lines,
    });
    const error = document.errors.find(({ code }) => code !== "MULTIPLE_DOCS");
    if (error !== undefined) {
      throw new JsonSyntaxError(`yaml: line ${lines.linePos(error.pos[0]).line}: ${error.message}`, error);
    }
    return new Reader(lines).read(document.contents);
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw error;
    if (error instanceof RangeError) throw new JsonSyntaxError("yaml: exceeded max depth", error);
    throw new JsonSyntaxError(`yaml: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

class Reader {
  readonly #lines: LineCounter;
  readonly #anchors = new Map<string, Node>();
  /** Anchored nodes whose content is being read through an alias. */
  readonly #expanding = new Set<Node>();
  readonly #numbers = new Map<string, string>();
  readonly #repeated: string[] = [];
  readonly #path: string[] = [];
  #count = 0;
  #aliasCount = 0;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  read(root: unknown): JsonDocument {
    const value = this.#node(root);
    return {
      value,
      duplicates: [],
      ...(this.#numbers.size > 0 ? { numbers: this.#numbers } : {}),
      ...(this.#repeated.length > 0
        ? { strictErrors: [`yaml: unmarshal errors:\n  ${this.#repeated.join("\n  ")}`] }
        : {}),
    };
  }

  #node(node: unknown): unknown {
    this.#checkBudget();
    if (isAlias(node)) return this.#alias(node.source, (target) => this.#node(target));
    this.#remember(node);
    if (isScalar(node)) return this.#scalar(node);
    if (isMap(node)) return this.#map(node, {});
    if (isSeq(node)) {
      return node.items.map((item, index) => this.#at(`[${index}]`, () => this.#node(item)));
    }
    return null;
  }

  #remember(node: unknown): void {
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) {
      this.#anchors.set(node.anchor, node);
    }
  }

  #alias<T>(name: string, read: (target: Node) => T): T {
    const target = this.#anchors.get(name);
    if (target === undefined) throw new JsonSyntaxError(`yaml: unknown anchor '${name}' referenced`);
    if (this.#expanding.has(target)) throw new JsonSyntaxError(`yaml: anchor '${name}' value contains itself`);
    this.#expanding.add(target);
    const value = read(target);
    this.#expanding.delete(target);
    return value;
  }

  /** go-yaml's guard against alias bombs (`decode.go`): the larger the document, the smaller the share of aliases. */
  #checkBudget(): void {
    this.#count++;
    if (this.#expanding.size > 0) this.#aliasCount++;
    if (this.#aliasCount <= 100 || this.#count <= 1_000) return;
    const large = Math.min(1, Math.max(0, (this.#count - 400_000) / 3_600_000));
    if (this.#aliasCount / this.#count > 0.99 - 0.89 * large) {
      throw new JsonSyntaxError("yaml: document contains excessive aliasing");
    }
  }

  #map(node: YAMLMap, into: Record<string, unknown>): Record<string, unknown> {
    for (const { key, value } of node.items) {
      if (isMergeKey(key)) {
        this.#merge(value, into);
        continue;
      }
      const name = this.#key(key);
      const read = this.#at(this.#path.length === 0 ? name.text : `.${name.text}`, () => this.#node(value));
      if (Object.hasOwn(into, name.text)) {
        this.#repeated.push(`line ${this.#lineOf(value, key)}: key ${name.shown} already set in map`);
      }
      setOwn(into, name.text, read);
    }
    return into;
  }

  /** `<<` copies the pairs of other mappings; of several the first wins. */
  #merge(value: unknown, into: Record<string, unknown>): void {
    if (isAlias(value)) return this.#alias(value.source, (target) => this.#merge(target, into));
    this.#remember(value);
    if (isSeq(value)) { for (const item of value.items.toReversed()) this.#merge(item, into); }
    else if (isMap(value)) { for (const [key, item] of Object.entries(this.#map(value, {}))) setOwn(into, key, item); }
    else throw new JsonSyntaxError("yaml: map merge requires map or sequence of maps as the value");
  }

  #key(key: unknown): { readonly text: string; readonly shown: string } {
    if (isAlias(key)) return this.#alias(key.source, (target) => this.#key(target));
    this.#remember(key);
    const value = isScalar(key) ? this.#scalar(key) : undefined;
    if (typeof value === "string") return { text: value, shown: goQuote(value) };
    if (typeof value === "number" || typeof value === "boolean") return { text: String(value), shown: String(value) };
    throw new JsonSyntaxError("yaml: unsupported map key: keys must be text, numbers or booleans");
  }

  #scalar(node: Scalar): unknown {
    const text = typeof node.value === "string" ? node.value : "";
    const tag = node.tag;
    if (tag === undefined ? node.type !== "PLAIN" : tag === "!" || tag === `${STANDARD_TAG}str`) return text;
    if (tag === `${STANDARD_TAG}binary`) {
      return new TextDecoder().decode(decodeBase64(canonicalBase64(text.replace(/\s/g, ""))));
    }
    // Other tags mean nothing here: what they stand on is text.
    if (tag !== undefined && !/:(?:int|float|bool|null|timestamp)$/.test(tag)) return text;
    const resolved = resolvePlain(text);
    if (resolved.kind === "value") return resolved.value;
    if (resolved.kind === "special") throw new JsonSyntaxError(`json: unsupported value: ${goFloat(text)}`);
    if (resolved.kind !== "number") return text;
    if (String(resolved.value) !== resolved.literal) this.#numbers.set(this.#path.join(""), resolved.literal);
    return resolved.value;
  }

  #at<T>(step: string, read: () => T): T {
    this.#path.push(step);
    const value = read();
    this.#path.pop();
    return value;
  }

  #lineOf(value: unknown, key: unknown): number {
    const node = [value, key].find((candidate) => isScalar(candidate) || isMap(candidate) || isSeq(candidate));
    const range = (node as Node | undefined)?.range;
    return this.#lines.linePos(range?.[0] ?? 0).line;
  }
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === "<<" && (key.type === "PLAIN" || key.tag === `${STANDARD_TAG}merge`);
}

/** How Go names a number that JSON cannot hold. */
function goFloat(text: string): string {
  return /nan/i.test(text) ? "NaN" : text.startsWith("-") ? "-Inf" : "+Inf";
}
