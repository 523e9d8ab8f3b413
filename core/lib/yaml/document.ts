/** Reads config files and kubeconfigs in linear time, because a kubeconfig can come from a server (`cluster-info`). */
import { err, ok, type Result } from "../result.ts";
import { readYamlSource, YamlError } from "./cursor.ts";
import { type AliasNode, type CollectionNode, readYamlTree, type ScalarNode, type YamlNode } from "./parser.ts";
import { type GoScalar, resolveTagged, STANDARD_TAG } from "./scalar.ts";
import type { YamlVersion } from "./scanner.ts";

/** The largest number of values that aliases may repeat, which prevents alias bombs. */
const MAX_REPEATED = 10_000;
/** The greatest depth of a config file, which is read with one call for each level. */
const MAX_LEVELS = 500;

/**
 * Parses a YAML text of one document: by the core schema of YAML 1.2, or as Kubernetes reads YAML 1.1, where `yes` is true
 * and `<<` merges. The error is the first fault in one line, which quotes nothing because the file may be a secret that
 * was named by mistake. Never throws.
 */
export function readYaml(text: string, version: YamlVersion = "1.2"): Result<unknown, string> {
  try {
    const tree = readYamlTree(readYamlSource(text), { version, isSingle: true });
    return ok(tree === undefined ? null : new PlainReader(version).read(tree, 0));
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    return err(`${error.problem}${describePlace(error, text)}`);
  }
}

/** Describes where a fault is. A fault at the end of the text is beyond its last character. */
function describePlace({ mark }: YamlError, text: string): string {
  if (mark === undefined) return "";
  const lines = text.split(/\r\n|[\n\r\u0085\u2028\u2029]/);
  const last = lines.at(-1) ?? "";
  const isBeyond = mark.line >= lines.length;
  const line = isBeyond ? lines.length : mark.line + 1;
  return ` at line ${line}, column ${isBeyond ? [...last].length + 1 : mark.column + 1}`;
}

/** Converts the tree of a document to plain objects and lists. */
class PlainReader {
  readonly #version: YamlVersion;
  /** The aliases that are being replaced by what they point at, outermost first. */
  readonly #expanding: AliasNode[] = [];
  #repeated = 0;

  constructor(version: YamlVersion) {
    this.#version = version;
  }

  read(node: YamlNode, level: number): unknown {
    const [alias] = this.#expanding;
    if (alias !== undefined && ++this.#repeated > MAX_REPEATED) {
      throw new YamlError("Excessive alias count", { mark: alias.mark });
    }
    if (level > MAX_LEVELS) throw new YamlError("too many levels", { mark: node.mark });
    switch (node.kind) {
      case "scalar":
        return toPlain(this.#scalar(node));
      case "sequence":
        return node.children.map((child) => this.read(child, level + 1));
      case "mapping":
        return Object.fromEntries(this.#members(node, level + 1));
      case "alias":
        return this.#expand(node, () => this.read(node.target, level + 1));
    }
  }

  #scalar(node: ScalarNode): GoScalar {
    return node.tag === "" && !node.isImplicit ? node.text : resolveTagged(node, this.#version);
  }

  /** Reads what an alias points at. */
  #expand<T>(node: AliasNode, read: () => T): T {
    if (this.#expanding.some(({ target }) => target === node.target)) {
      throw new YamlError("an anchor contains itself", { mark: node.mark });
    }
    this.#expanding.push(node);
    const value = read();
    this.#expanding.pop();
    return value;
  }

  /** Reads the members of a mapping. Keys are unique by value: `1` and `"1"` are two keys, and the later one counts. */
  #members(node: CollectionNode, level: number): Map<string, unknown> {
    const members = new Map<string, unknown>();
    const seen = new Set<unknown>();
    const merged: YamlNode[] = [];
    for (let index = 0; index + 1 < node.children.length; index += 2) {
      const [key, value] = node.children.slice(index, index + 2);
      if (key === undefined || value === undefined) break;
      if (key.kind !== "scalar") throw new YamlError("A key must be plain text", { mark: key.mark });
      if (this.#isMergeKey(key)) {
        merged.push(value);
        continue;
      }
      const name = toPlain(this.#scalar(key));
      if (seen.has(name)) throw new YamlError("Map keys must be unique", { mark: key.mark });
      seen.add(name);
      members.set(name === null ? "" : String(name), this.read(value, level));
    }
    for (const value of merged) this.#merge(value, members, level);
    return members;
  }

  #isMergeKey(key: ScalarNode): boolean {
    if (this.#version === "1.2" || key.text !== "<<") return false;
    return key.isImplicit || key.tag === `${STANDARD_TAG}merge`;
  }

  /** Adds the members of the mappings that `<<` names; an existing member takes precedence. */
  #merge(node: YamlNode, into: Map<string, unknown>, level: number): void {
    if (level > MAX_LEVELS) throw new YamlError("too many levels", { mark: node.mark });
    if (node.kind === "alias") return this.#expand(node, () => this.#merge(node.target, into, level + 1));
    if (node.kind === "sequence") return node.children.forEach((child) => this.#merge(child, into, level + 1));
    if (node.kind === "scalar") throw new YamlError("<< must name mappings", { mark: node.mark });
    for (const [name, value] of this.#members(node, level + 1)) if (!into.has(name)) into.set(name, value);
  }
}

function toPlain(value: GoScalar): string | number | boolean | null {
  return typeof value === "object" && value !== null ? value.value : value;
}
