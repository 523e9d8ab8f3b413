/** Converts a YAML tree to values (go-yaml v2 `decode.go`): tags, merge keys, aliases and the limit on them. */
import { goQuote } from "../../lib/quote.ts";
import { finishWalk, type Walk } from "./walk.ts";
import { GoMap, type GoScalar, type GoValue, printGoSyntax } from "./yaml_go_value.ts";
import type { AliasNode, CollectionNode, ScalarNode, YamlNode } from "./yaml_node.ts";
import { resolveTagged } from "./yaml_scalar.ts";
import type { ElementBudget } from "./element_budget.ts";
import { JsonSyntaxError } from "./errors.ts";

/** The number of characters of repeated text that count as one element. */
const CHARS_PER_ELEMENT = 64;

const MERGE_TAG = "tag:yaml.org,2002:merge";

/** Converts the tree of one document to a value. */
export class ValueReader {
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
      if (into.has(key)) this.repeated.push(`line ${valueNode.line + 1}: key ${printKey(key)} already set in map`);
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
  return resolveTagged(node.tag, node.text);
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
