/**
 * Decodes and encodes `metadata.managedFields` (apimachinery `managedfields/internal/managedfields.go`). FieldsV1 is the JSON
 * form of a field set: a tree whose keys are path elements. A member that has members below it has a key `.`, and a member
 * that has none is an empty object (structured-merge-diff `fieldpath/serialize.go`).
 */
import { compareBytes, goQuote, marshalJson } from "../../lib/go_text.ts";
import type { ManagedFieldsEntry } from "../meta.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import {
  compareElements,
  type FieldNodeBuilder,
  type FieldSet,
  type FieldSetBuilder,
  NO_FIELDS,
  parseElement,
  uniteAll,
} from "./field_set.ts";
import { isJsonObject, type JsonObject } from "../json_value.ts";

/** The identity of an entry: the manager, and how it writes. */
interface ManagerName {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** Empty for the main resource. */
  readonly subresource: string;
}

/** An entry with the fields that its manager owns. */
export interface ManagerEntry extends ManagerName {
  readonly set: FieldSet;
  /** RFC 3339 text; undefined if the entry has no time. */
  readonly time: string | undefined;
}

/** All managers of an object, by `formatManagerKey`. */
export type Managers = Map<string, ManagerEntry>;

/** Returns the key of a manager. An applier has the same key in all API versions. */
export function formatManagerKey({ manager, operation, apiVersion, subresource }: ManagerName): string {
  const identity = {
    ...(manager === "" ? {} : { manager }),
    operation,
    ...(operation === "Apply" || apiVersion === "" ? {} : { apiVersion }),
    ...(subresource === "" ? {} : { subresource }),
  };
  return marshalJson(identity);
}

/** Decodes entries. Of two entries of one manager, the later one counts. */
export function decodeManagers(entries: readonly ManagedFieldsEntry[]): Result<Managers, string> {
  const managers: Managers = new Map();
  for (const [index, entry] of entries.entries()) {
    const { manager = "", operation, apiVersion = "", fieldsType = "", subresource = "", time } = entry;
    if (operation !== "Apply" && operation !== "Update") return err("operation must be `Apply` or `Update`");
    if (apiVersion === "") return err("apiVersion must not be empty");
    if (fieldsType === "") return err(`missing fieldsType in managed fields entry ${index}`);
    if (fieldsType !== "FieldsV1") {
      return err(`invalid fieldsType ${goQuote(fieldsType)} in managed fields entry ${index}`);
    }
    const set = parseFieldsV1(entry.fieldsV1);
    if (!set.ok) return err(`error decoding versioned set: ${set.error}`);
    const read = { manager, operation, apiVersion, subresource, set: set.value, time } as const;
    managers.set(formatManagerKey(read), read);
  }
  return ok(managers);
}

/** Encodes entries in upstream's order; undefined if there are none. */
export function encodeManagers(managers: Managers): readonly ManagedFieldsEntry[] | undefined {
  if (managers.size === 0) return undefined;
  const sorted = [...managers.values()];
  if (sorted.length > 1) sorted.sort(compareEntries);
  return sorted.map(({ manager, operation, apiVersion, subresource, set, time }) => ({
    ...(manager === "" ? {} : { manager }),
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: "FieldsV1",
    fieldsV1: formatFieldsV1(set),
    ...(subresource === "" ? {} : { subresource }),
  }));
}

/** Compares entries: appliers are first, then time, name, version and subresource decide. */
function compareEntries(a: ManagerEntry, b: ManagerEntry): number {
  return compareBytes(a.operation, b.operation) || parseSeconds(a) - parseSeconds(b) ||
    compareBytes(a.manager, b.manager) || compareBytes(a.apiVersion, b.apiVersion) ||
    compareBytes(a.subresource, b.subresource);
}

function parseSeconds({ time }: ManagerEntry): number {
  return time === undefined ? 0 : Math.floor(Date.parse(time) / 1000);
}

/** The largest number of entries of updates that an object keeps. */
const MAX_UPDATE_MANAGERS = 10;

/**
 * Merges the oldest updates into one entry per version until few enough are left
 * (apimachinery `managedfields/internal/capmanagers.go`).
 */
export function capUpdateManagers(managers: Managers): void {
  const updaters = [...managers].filter(([, entry]) => entry.operation === "Update");
  if (updaters.length <= MAX_UPDATE_MANAGERS) return;
  const merged = new Map<string, FieldSet[]>();
  mergeOldest(managers, updaters, merged);
  for (const [key, sets] of merged) managers.set(key, { ...managers.get(key)!, set: uniteAll(sets) });
}

/** Collects the sets of merged entries in `merged`; uniting them one by one would take quadratic time. */
function mergeOldest(
  managers: Managers,
  updaters: [string, ManagerEntry][],
  merged: Map<string, FieldSet[]>,
): void {
  updaters.sort(([aKey, a], [bKey, b]) => parseSeconds(a) - parseSeconds(b) || compareBytes(aKey, bKey));
  const firstByVersion = new Map<string, string>();
  let count = updaters.length;
  for (const [key, entry] of updaters) {
    if (count <= MAX_UPDATE_MANAGERS) return;
    const { apiVersion } = entry;
    const first = firstByVersion.get(apiVersion);
    if (first === undefined) {
      firstByVersion.set(apiVersion, key);
      continue;
    }
    const bucketName = { manager: "ancient-changes", operation: "Update", apiVersion, subresource: "" } as const;
    const bucketKey = formatManagerKey(bucketName);
    if (!managers.has(bucketKey)) {
      managers.set(bucketKey, { ...managers.get(first)!, ...bucketName });
      managers.delete(first);
    }
    const bucket = managers.get(bucketKey)!;
    if (!merged.has(bucketKey)) merged.set(bucketKey, [bucket.set]);
    merged.get(bucketKey)!.push(entry.set);
    managers.set(bucketKey, { ...bucketName, set: bucket.set, time: entry.time });
    // As in upstream, this loses a bucket that is not the oldest entry.
    managers.delete(key);
    merged.delete(key);
    count--;
  }
}

/** A cache of parsed sets by their tree: stored objects are frozen, and are parsed again on each write. */
const setByTree = new WeakMap<object, FieldSet>();

/** A cache of formatted trees by their set: most managers own the same fields before and after a write. */
const treeBySet = new WeakMap<FieldSet, JsonObject>();

/** Parses a tree. Clients do not see the error, because a malformed tree of a client counts as absent. */
export function parseFieldsV1(tree: unknown): Result<FieldSet, string> {
  if (tree === undefined || tree === null) return ok(NO_FIELDS);
  if (!isJsonObject(tree)) return err("fieldsV1 is not an object");
  const cached = setByTree.get(tree);
  if (cached !== undefined) return ok(cached);
  const set = readChildren(tree);
  if (set === undefined) return err("fieldsV1 has a malformed path element");
  setByTree.set(tree, set);
  return ok(set);
}

/** Formats a set as a tree that equals upstream's byte for byte. The tree is cached, so do not change it. */
export function formatFieldsV1(set: FieldSet): JsonObject {
  let tree = treeBySet.get(set);
  if (tree === undefined) {
    treeBySet.set(set, tree = formatSet(set));
    setByTree.set(tree, set);
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

function readNode(tree: unknown): FieldNodeBuilder | undefined {
  if (tree === null) return { isMember: true, children: new Map() };
  if (!isJsonObject(tree)) return undefined;
  const children = readChildren(tree);
  if (children === undefined) return undefined;
  return { isMember: children.size === 0 || Object.hasOwn(tree, "."), children };
}

/** Merges two spellings of one element; of the members below, those of the later one count. */
function mergeNode(set: FieldSetBuilder, element: string, node: FieldNodeBuilder): void {
  const before = set.get(element);
  set.set(element, {
    isMember: before?.isMember === true || node.isMember,
    children: before === undefined || node.children.size > 0 ? node.children : before.children,
  });
}
