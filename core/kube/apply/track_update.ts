/**
 * Compares two states of an object (structured-merge-diff `typed/compare.go`), and tracks the owners of fields through
 * creations, updates and patches other than apply (apimachinery `managedfields/internal`, the chain of managers for
 * `Update`). A manager no longer owns the fields that another one has changed or removed (`merge/update.go`).
 */
import type { KubeObject, ManagedFieldsEntry } from "../meta.ts";
import {
  createFieldSet,
  fieldElement,
  type FieldNode,
  type FieldSet,
  type FieldSetBuilder,
  insertPath,
  intersect,
  NO_FIELDS,
  subtract,
  unite,
} from "./field_set.ts";
import { capUpdateManagers, decodeManagers, encodeManagers, formatManagerKey, type Managers } from "./managers.ts";
import { type AssociativeList, type Atom, findMemberAtom, getAtom, getItemElement, type Members } from "./atom.ts";
import { createZeroMessage, getMessagePlan } from "../wire/message_plan.ts";
import { formatApiVersion, type Kind, type MessageSchema } from "../schema.ts";
import { getMember, isEmptyList, isEmptyMap, isEqualJson, isJsonObject, type JsonObject } from "../json_value.ts";

/** The manager that writes, and the time of the write. */
export interface Author {
  readonly manager: string;
  /** The time as RFC 3339 text. */
  readonly time: string;
}

/** The manager of an entry without a name. */
const UNKNOWN = "unknown";

/**
 * Returns the `managedFields` of an object that replaces `live`, or is created if `live` is undefined; undefined for no
 * entries. A client may edit the entries in the object itself, or clear them with `[]` or `[{}]`; invalid entries count
 * as not sent. An object that has no entries gets some by its creation or by an apply, not by an update.
 */
export function trackUpdate(
  endpoint: ManagedEndpoint,
  live: KubeObject | undefined,
  object: KubeObject,
  author: Author,
): readonly ManagedFieldsEntry[] | undefined {
  const sent = getSentManagers(endpoint, live, object);
  if (sent.size === 0 && (live?.metadata.uid ?? "") !== "") return undefined;
  const managers = recordUpdate(endpoint, live, object, sent, author);
  if (managers === undefined) return live?.metadata.managedFields;
  capUpdateManagers(managers);
  return encodeManagers(managers);
}

/** Returns the managers after a change by an author; undefined if the two states cannot be compared. */
export function recordUpdate(
  endpoint: ManagedEndpoint,
  live: KubeObject | undefined,
  object: KubeObject,
  managers: Managers,
  author: Author,
): Managers | undefined {
  const before = live ?? getEmptyObject(endpoint.kind.schema);
  const result = takeOver(endpoint, before, object, reconcileManagers(endpoint, managers), undefined);
  if (result === undefined) return undefined;
  const taken = subtract(getChangedFields(result.comparison), SYSTEM_FIELDS);
  if (taken.size > 0) {
    const name = {
      manager: author.manager === "" ? UNKNOWN : author.manager,
      operation: "Update",
      apiVersion: formatApiVersion(endpoint.kind),
      subresource: endpoint.subresource,
    } as const;
    const key = formatManagerKey(name);
    const previous = result.managers.get(key);
    const set = previous === undefined ? taken : unite(taken, previous.set);
    result.managers.set(key, { ...name, set, time: author.time });
  }
  return result.managers;
}

/** Converts entries to the current description of the kind. */
export function reconcileManagers(endpoint: ManagedEndpoint, managers: Managers): Managers {
  const version = formatApiVersion(endpoint.kind);
  for (const [key, entry] of managers) {
    if (entry.apiVersion !== version) continue;
    const set = reconcileFields(entry.set, endpoint.atom);
    if (set !== entry.set) managers.set(key, { ...entry, set });
  }
  return managers;
}

/** Returns the entries that the client sent, or those of the stored object. */
function getSentManagers(endpoint: ManagedEndpoint, live: KubeObject | undefined, object: KubeObject): Managers {
  const stored = live?.metadata.managedFields ?? [];
  if (endpoint.subresource === "") {
    const sent = object.metadata.managedFields;
    if (sent !== undefined && isReset(sent)) return new Map();
    const decoded = sent === undefined || sent === stored ? undefined : decodeManagers(sent);
    if (decoded?.ok === true && decoded.value.size > 0) return decoded.value;
  }
  const decoded = decodeManagers(stored);
  return decoded.ok ? decoded.value : new Map();
}

function isReset(entries: readonly ManagedFieldsEntry[]): boolean {
  return entries.length === 0 || (entries.length === 1 && Object.keys(entries[0]!).length === 0);
}

/**
 * Converts a set to the current description of its kind: a manager that owned parts of a field that is atomic now owns
 * the whole field (structured-merge-diff `typed/reconcile_schema.go`). Returns the same set if it already fits.
 */
export function reconcileFields(set: FieldSet, atom: Atom): FieldSet {
  let changed: Map<string, FieldNode> | undefined;
  for (const [element, node] of set) {
    if (node.children.size === 0) continue;
    const type = atomBelow(atom, element);
    if (type === undefined) continue;
    const next = isAtomic(type) ? NO_FIELDS : reconcileFields(node.children, type);
    if (next === node.children) continue;
    changed ??= new Map(set);
    changed.set(element, { isMember: node.isMember || next.size === 0, children: next });
  }
  return changed ?? set;
}

function atomBelow(atom: Atom, element: string): Atom | undefined {
  switch (atom.kind) {
    case "list":
      return atom.of;
    case "map":
    case "struct":
      return findMemberAtom(atom, element.slice(2));
    default:
      return undefined;
  }
}

function isAtomic(atom: Atom): boolean {
  return atom.kind === "list"
    ? atom.relation === "atomic"
    : (atom.kind === "map" || atom.kind === "struct") && atom.isAtomic;
}

/** The changed fields that other managers own, by manager. */
export type Overlaps = ReadonlyMap<string, FieldSet>;

/** The effect of a change on all managers but its author. */
interface TakeOver {
  readonly comparison: Comparison;
  /** Fields that others own and whose value the change replaces. */
  readonly overlaps: Overlaps;
  /** The managers afterwards, without those that no longer own anything. */
  readonly managers: Managers;
}

/** Computes the effect; undefined if the two states cannot be compared. The set of `author` stays, unless it is empty. */
export function takeOver(
  endpoint: ManagedEndpoint,
  before: object,
  after: object,
  managers: Managers,
  author: string | undefined,
): TakeOver | undefined {
  const comparison = compareFields(before, after, endpoint.atom, endpoint.ignored);
  if (comparison === undefined) return undefined;
  const version = formatApiVersion(endpoint.kind);
  const changed = getChangedFields(comparison);
  const overlaps = new Map<string, FieldSet>();
  const left: Managers = new Map();
  for (const [key, entry] of managers) {
    let { set } = entry;
    if (key !== author) {
      // Objects of other versions cannot be compared. That holds for events too, although both versions are served: core
      // and the named groups only know their own types (apiserver `server/genericapiserver.go`, `getOpenAPIModels`).
      if (entry.apiVersion !== version) continue;
      const overlap = intersect(set, changed);
      if (overlap.size > 0) overlaps.set(key, overlap);
      set = subtract(subtract(set, overlap), comparison.removed);
    }
    if (set.size > 0) left.set(key, set === entry.set ? entry : { ...entry, set });
  }
  return { comparison, overlaps, managers: left };
}

/** A main resource or a subresource whose field managers are tracked. */
export interface ManagedEndpoint {
  readonly kind: Kind;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly atom: Atom;
  /** Fields that a write to this endpoint cannot own, because the strategy resets them; also `managedFields`. */
  readonly ignored: FieldSet;
}

/**
 * Creates the endpoint of a resource or a subresource.
 *
 * @param resetFields dotted paths such as `status.conditions` (upstream's `GetResetFields`)
 */
export function createManagedEndpoint(
  kind: Kind,
  subresource: string,
  resetFields: readonly string[],
): ManagedEndpoint {
  const ignored: FieldSetBuilder = new Map();
  for (const path of ["metadata.managedFields", ...resetFields]) insertPath(ignored, parsePath(path));
  return { kind, subresource, atom: getAtom(kind.schema), ignored };
}

const empties = new WeakMap<MessageSchema, Record<string, unknown>>();

/** Returns the empty object of a kind, from which a creation starts. It must not be changed. */
export function getEmptyObject(schema: MessageSchema): Readonly<Record<string, unknown>> {
  let empty = empties.get(schema);
  if (empty === undefined) empties.set(schema, empty = createZeroMessage(getMessagePlan(schema)));
  return empty;
}

/** The fields that the server sets and no one owns (apimachinery `managedfields/internal/stripmeta.go`). */
export const SYSTEM_FIELDS: FieldSet = createFieldSet(
  parsePath("apiVersion"),
  parsePath("kind"),
  parsePath("metadata"),
  ...[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
  ].map((name) => parsePath(`metadata.${name}`)),
);

function parsePath(dotted: string): readonly string[] {
  return dotted.split(".").map(fieldElement);
}

/** The result of a comparison. No field is in two of the sets. */
interface Comparison {
  readonly removed: FieldSet;
  readonly modified: FieldSet;
  readonly added: FieldSet;
}

/** Returns the fields that were added or modified. */
function getChangedFields(comparison: Comparison): FieldSet {
  return unite(comparison.modified, comparison.added);
}

/**
 * Compares two states of one type; undefined if an item of a list has no identity. Fields at or below `ignored` do not
 * count. Parts that are identical by reference are not compared.
 */
export function compareFields(before: unknown, after: unknown, atom: Atom, ignored?: FieldSet): Comparison | undefined {
  const walk = new Walk();
  walk.visit(before, after, atom, ignored);
  return walk.isFaulty ? undefined : walk;
}

class Walk implements Comparison {
  readonly removed: FieldSetBuilder = new Map();
  readonly modified: FieldSetBuilder = new Map();
  readonly added: FieldSetBuilder = new Map();
  isFaulty = false;
  readonly #path: string[] = [];

  /** Compares two values; `undefined` is an absent value, `null` a present one. */
  visit(before: unknown, after: unknown, atom: Atom, ignored: FieldSet | undefined): void {
    if (before === after) return;
    if (isLeaf(before, after, atom)) {
      if (!this.#markOneSided(before, after) && !isEqualJson(before, after)) insertPath(this.modified, this.#path);
      return;
    }
    if (atom.kind === "list") this.#items(before, after, atom as AssociativeList);
    else if (atom.kind === "map" || atom.kind === "struct") this.#members(before, after, atom, ignored);
    this.#markOneSided(before, after);
  }

  #members(
    before: unknown,
    after: unknown,
    atom: Members,
    ignored: FieldSet | undefined,
  ): void {
    const [left, right] = [toObject(before), toObject(after)];
    for (const name in right) {
      this.#member(name, getMember(left, name), right[name], findMemberAtom(atom, name), ignored);
    }
    for (const name in left) {
      if (!Object.hasOwn(right, name)) this.#member(name, left[name], undefined, findMemberAtom(atom, name), ignored);
    }
  }

  #member(
    name: string,
    before: unknown,
    after: unknown,
    atom: Atom | undefined,
    ignored: FieldSet | undefined,
  ): void {
    if (before === after || atom === undefined) return;
    const element = fieldElement(name);
    const skipped = ignored?.get(element);
    if (skipped?.isMember === true) return;
    this.#at(element, () => this.visit(before, after, atom, skipped?.children));
  }

  #items(before: unknown, after: unknown, list: AssociativeList): void {
    const left = this.#index(before, list);
    const right = this.#index(after, list);
    for (const element of new Set([...left.keys(), ...right.keys()])) {
      this.#at(element, () => this.#item(left.get(element) ?? [], right.get(element) ?? [], list));
    }
  }

  /** Compares items that occur more than once as one list. */
  #item(before: readonly unknown[], after: readonly unknown[], list: AssociativeList): void {
    if (before.length <= 1 && after.length <= 1) this.visit(before[0], after[0], list.of, undefined);
    else if (before.length >= 2 && after.length >= 2) {
      if (!isEqualJson(before, after)) insertPath(this.modified, this.#path);
    } else if (before.length >= 2) {
      if (after.length > 0) this.visit(undefined, after[0], list.of, undefined);
      insertPath(this.removed, this.#path);
    } else {
      if (before.length > 0) this.visit(before[0], undefined, list.of, undefined);
      insertPath(this.added, this.#path);
    }
  }

  #index(value: unknown, list: AssociativeList): ReadonlyMap<string, readonly unknown[]> {
    const found = new Map<string, unknown[]>();
    for (const item of Array.isArray(value) ? value as readonly unknown[] : []) {
      const element = getItemElement(list, item);
      if (!element.ok) {
        this.isFaulty = true;
        continue;
      }
      const items = found.get(element.value);
      if (items === undefined) found.set(element.value, [item]);
      else items.push(item);
    }
    return found;
  }

  #markOneSided(before: unknown, after: unknown): boolean {
    if (before === undefined) insertPath(this.added, this.#path);
    else if (after === undefined) insertPath(this.removed, this.#path);
    return before === undefined || after === undefined;
  }

  #at(element: string, act: () => void): void {
    this.#path.push(element);
    act();
    this.#path.pop();
  }
}

/** Reports whether two values are compared as a whole; two empty containers are, so that `null` and `[]` differ. */
function isLeaf(before: unknown, after: unknown, atom: Atom): boolean {
  switch (atom.kind) {
    case "scalar":
    case "any":
      return true;
    case "list":
      return atom.relation === "atomic" || (isEmptyList(before) && isEmptyList(after));
    default:
      return atom.isAtomic || (isEmptyMap(before) && isEmptyMap(after));
  }
}

const EMPTY: JsonObject = {};

function toObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : EMPTY;
}
