/**
 * FieldsV1, the JSON form of a field set: a tree whose keys are path elements. A member that has members below it has a
 * key `.`, and a member that has none is an empty object (structured-merge-diff `fieldpath/serialize.go`).
 */
import { err, ok, type Result } from "../../lib/result.ts";
import { isJsonObject, type JsonObject } from "../json_value.ts";
import { type FieldNode, type FieldSet, type FieldSetBuilder, NO_FIELDS } from "./field_set.ts";
import { compareElements, parseElement } from "./path_element.ts";

/** A cache of parsed sets by their tree: stored objects are frozen, and are parsed again on each write. */
const known = new WeakMap<object, FieldSet>();

/** A cache of formatted trees by their set: most managers own the same fields before and after a write. */
const written = new WeakMap<FieldSet, JsonObject>();

/** Parses a tree. Clients do not see the error, because a malformed tree of a client counts as absent. */
export function parseFieldsV1(tree: unknown): Result<FieldSet, string> {
  if (tree === undefined || tree === null) return ok(NO_FIELDS);
  if (!isJsonObject(tree)) return err("fieldsV1 is no object");
  const cached = known.get(tree);
  if (cached !== undefined) return ok(cached);
  const set = readChildren(tree);
  if (set === undefined) return err("fieldsV1 has a malformed path element");
  known.set(tree, set);
  return ok(set);
}

/** Formats a set as a tree with its keys in upstream's order, so that both are byte for byte equal. Do not change it. */
export function formatFieldsV1(set: FieldSet): JsonObject {
  let tree = written.get(set);
  if (tree === undefined) {
    written.set(set, tree = formatSet(set));
    known.set(tree, set);
  }
  return tree;
}

function formatSet(set: FieldSet): JsonObject {
  const tree: JsonObject = {};
  const elements = [...set.keys()];
  if (elements.length > 1) elements.sort(compareElements);
  for (const element of elements) {
    const { isMember, children } = set.get(element)!;
    if (children.size === 0) tree[element] = {};
    else if (isMember) tree[element] = { ".": {}, ...formatSet(children) };
    else tree[element] = formatSet(children);
  }
  return tree;
}

function readChildren(tree: JsonObject): FieldSetBuilder | undefined {
  const set: FieldSetBuilder = new Map();
  for (const [key, below] of Object.entries(tree)) {
    if (key === ".") continue;
    const parsed = parseElement(key);
    if (parsed.kind === "malformed") return undefined;
    if (parsed.kind === "unknown") continue;
    const node = readNode(below);
    if (node === undefined) return undefined;
    mergeNode(set, parsed.element, node);
  }
  return set;
}

function readNode(tree: unknown): { readonly isMember: boolean; readonly children: FieldSetBuilder } | undefined {
  if (tree === null) return { isMember: true, children: new Map() };
  if (!isJsonObject(tree)) return undefined;
  const children = readChildren(tree);
  if (children === undefined) return undefined;
  return { isMember: children.size === 0 || Object.hasOwn(tree, "."), children };
}

/** Merges two spellings of one element; of the members below, those of the later one count. */
function mergeNode(
  set: FieldSetBuilder,
  element: string,
  node: { readonly isMember: boolean; readonly children: FieldSetBuilder },
): void {
  const before: FieldNode | undefined = set.get(element);
  if (before === undefined) set.set(element, node);
  else {
    set.set(element, {
      isMember: before.isMember || node.isMember,
      children: node.children.size > 0 ? node.children : set.get(element)!.children,
    });
  }
}
