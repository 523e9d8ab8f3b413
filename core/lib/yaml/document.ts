/** Reads YAML into plain values, as Kubernetes does or by the core schema of YAML 1.2. */
import { compareBytes } from "../go_text.ts";
import type { JsonMember } from "../record.ts";
import { err, ok, type Result } from "../result.ts";
import { GoNumber, type GoScalar, resolvePlain, type YamlVersion } from "./scalar.ts";
import {
  type AliasNode,
  type CollectionNode,
  MAX_LEVELS,
  readYamlTree,
  type ScalarNode,
  YamlError,
  type YamlNode,
  type YamlOptions,
} from "./tree.ts";

/** The largest number of values that aliases may repeat, which prevents alias bombs. */
const MAX_REPEATED = 10_000;
/** The number of characters of repeated text that count as one value. */
const CHARS_PER_VALUE = 64;

/** A key that occurs twice in a mapping. The later value counts. */
export interface RepeatedKey {
  readonly key: GoScalar;
  readonly at: number;
  /** False if the mapping only overrides a key that it merged. */
  readonly isClash: boolean;
}

/** The value of a document, with the details that a plain value cannot express. */
interface YamlDocument {
  readonly value: unknown;
  /** The members of mappings and lists with numbers that JavaScript prints differently, or keys that it puts first. */
  readonly members: ReadonlyMap<object, readonly JsonMember[]>;
  readonly repeated: readonly RepeatedKey[];
}

/** Reads the first document of a text; with YAML 1.1, keys are sorted, as Kubernetes sorts them. Throws YamlError. */
export function readYamlDocument(text: string, options: YamlOptions): YamlDocument {
  const root = readYamlTree(text, options);
  const reader = new ValueReader(options);
  const value = root === undefined ? null : toPlain(reader.read(root, 0));
  return { value, members: reader.members, repeated: reader.repeated };
}

/**
 * Parses a YAML text of one document, as Kubernetes reads YAML 1.1, where `yes` is true and `<<` merges, or by the core
 * schema of YAML 1.2. Refuses repeated keys. The error is the first fault in one line. It quotes nothing, because the file
 * may be a secret that was passed by mistake. Never throws.
 */
export function readYaml(text: string, version: YamlVersion = "1.2"): Result<unknown, string> {
  try {
    const { value, repeated } = readYamlDocument(text, { version, isFile: true });
    const clash = repeated.find(({ isClash }) => isClash);
    if (clash !== undefined) throw new YamlError("a key is repeated", clash.at);
    return ok(value);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    const before = text.slice(0, error.at).split("\n");
    return err(`${error.message} at line ${before.length}, column ${[...before.at(-1) ?? ""].length + 1}`);
  }
}

/** Converts the tree of a document to plain objects and lists. */
class ValueReader {
  readonly members = new Map<object, readonly JsonMember[]>();
  readonly repeated: RepeatedKey[] = [];
  readonly #options: YamlOptions;
  /** The outermost alias that is being expanded. */
  #alias: AliasNode | undefined;
  #copied = 0;

  constructor(options: YamlOptions) {
    this.#options = options;
  }

  /** Returns a plain value, or a number with its literal. */
  read(node: YamlNode, level: number): unknown {
    this.#count(node, level);
    switch (node.kind) {
      case "scalar":
        return this.#scalar(node);
      case "alias":
        return this.#expand(node, () => this.read(node.target, level + 1));
      case "sequence": {
        const values = node.children.map((child) => this.read(child, level + 1));
        return this.#keep(values.map(toPlain), values.map((value, index) => [String(index), value]));
      }
      case "mapping": {
        const mapping = new Map<string, Entry>();
        this.#readInto(mapping, node, level, false);
        const entries = Array.from(mapping, ([name, { value }]) => [name, value] as const);
        if (this.#options.version === "1.1") entries.sort(([left], [right]) => compareBytes(left, right));
        return this.#keep(Object.fromEntries(entries.map(([name, value]) => [name, toPlain(value)])), entries);
      }
    }
  }

  /** Limits the depth, and the number of values that aliases repeat. */
  #count(node: YamlNode, level: number): void {
    if (level > MAX_LEVELS) throw new YamlError("too many levels", node.at);
    if (this.#alias === undefined) return;
    this.#options.budget?.add();
    this.#copied += 1 + (node.kind === "scalar" ? Math.floor(node.text.length / CHARS_PER_VALUE) : 0);
    if (this.#copied > MAX_REPEATED) throw new YamlError("aliases repeat too many values", this.#alias.at);
  }

  #expand<T>(node: AliasNode, read: () => T): T {
    const outer = this.#alias;
    this.#alias ??= node;
    const value = read();
    this.#alias = outer;
    return value;
  }

  #scalar({ text, isPlain, at }: ScalarNode): GoScalar {
    const { version, isFile } = this.#options;
    const value = isPlain ? resolvePlain(text, version) : text;
    if (!(value instanceof GoNumber)) return value;
    if (version === "1.1" && !Number.isFinite(value.value)) {
      throw new YamlError("a number that JSON cannot express", at);
    }
    if (isFile && value.kind !== "float64" && !Number.isSafeInteger(value.value)) {
      throw new YamlError("an integer beyond 2^53", at);
    }
    return value;
  }

  /** Returns a plain object or list, and records those of its members that it cannot express. */
  #keep(container: object, entries: readonly (readonly [string, unknown])[]): unknown {
    const members = entries.map(([key, value]): JsonMember =>
      value instanceof GoNumber && String(value.value) !== value.literal
        ? { key, value: value.value, literal: value.literal }
        : { key, value: toPlain(value) }
    );
    const isList = Array.isArray(container);
    if (members.some(({ key, literal }) => literal !== undefined || (!isList && /^[0-9]/.test(key)))) {
      this.members.set(container, members);
    }
    return container;
  }

  /** Sets the members of a mapping. As in go-yaml, merged mappings (`<<`) override the members before them. */
  #readInto(into: Map<string, Entry>, { children }: CollectionNode, level: number, isMerged: boolean): void {
    for (let index = 0; index + 1 < children.length; index += 2) {
      const [key, value] = children.slice(index, index + 2);
      if (key === undefined || value === undefined) break;
      if (this.#options.version === "1.1" && key.kind === "scalar" && key.isPlain && key.text === "<<") {
        this.#merge(into, value, level);
        continue;
      }
      const found = this.#key(key, level);
      const name = found instanceof GoNumber ? found.literal : String(found);
      const before = into.get(name);
      if (before !== undefined) {
        if (typeof before.key !== typeof found) throw new YamlError("two keys have the same name", key.at);
        this.repeated.push({ key: found, at: value.at, isClash: !before.isMerged });
      }
      into.set(name, { key: found, value: this.read(value, level + 1), isMerged });
    }
  }

  /** Reads a key: text, a boolean or a 64-bit integer. */
  #key(node: YamlNode, level: number): GoScalar {
    const key = node.kind === "scalar" ? this.read(node, level) : undefined;
    if (typeof key === "string" || typeof key === "boolean") return key;
    if (key instanceof GoNumber && key.kind === "int") return key;
    throw new YamlError("a key must be text", node.at);
  }

  /** Merges the mappings of a `<<` key; the first of a list takes precedence. */
  #merge(into: Map<string, Entry>, node: YamlNode, level: number): void {
    for (const source of node.kind === "sequence" ? node.children.toReversed() : [node]) {
      const mapping = source.kind === "alias" ? source.target : source;
      if (mapping.kind !== "mapping") {
        throw new YamlError("the value of << must be a mapping, or a list of mappings", source.at);
      }
      this.#count(mapping, level + 1);
      const read = (): void => this.#readInto(into, mapping, level + 1, true);
      if (source.kind === "alias") this.#expand(source, read);
      else read();
    }
  }
}

/** The value of a key in a mapping. */
interface Entry {
  readonly key: GoScalar;
  readonly value: unknown;
  /** True if the value is from a merged mapping (`<<`). */
  readonly isMerged: boolean;
}

function toPlain(value: unknown): unknown {
  return value instanceof GoNumber ? value.value : value;
}
