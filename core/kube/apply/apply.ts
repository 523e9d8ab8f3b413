/**
 * Server-side apply: a configuration that fits its kind (structured-merge-diff `typed/validate.go`) is merged into the stored
 * object, the applier becomes the owner of its fields, and fields that the applier no longer sets are removed
 * (`merge/update.go`, apimachinery `managedfields/internal`). kubectl may take over the fields that the annotation of
 * client-side apply lists, and the annotation is kept up to date.
 */
import { findUnstructuredFault } from "../wire/unstructured.ts";
import {
  ExactNumber,
  getGoType,
  getJsonType,
  goSyntax,
  isEqualJson,
  isJsonObject,
  type JsonObject,
  printGoValue,
} from "../json_value.ts";
import { managedFieldsEntrySchema } from "../kinds/meta_v1.ts";
import type { KubeObject, ManagedFieldsEntry, StatusCause } from "../meta.ts";
import { areAnnotationsTooLarge } from "../rules/meta_v1.ts";
import { formatApiVersion, type Kind } from "../schema.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { tryParseJson } from "../../lib/record.ts";
import {
  type Author,
  compareFields,
  getEmptyObject,
  type ManagedEndpoint,
  type Overlaps,
  reconcileManagers,
  recordUpdate,
  SYSTEM_FIELDS,
  takeOver,
} from "./track_update.ts";
import { compareElements, fieldElement, type FieldSet, NO_FIELDS, printElement, subtract } from "./field_set.ts";
import { decodeManagers, encodeManagers, formatManagerKey, type ManagerEntry, type Managers } from "./managers.ts";
import { collectLeaves, mergeValue, pruneFields } from "./merge.ts";
import { compareBytes, goQuote, marshalJson, sortedKeys } from "../../lib/go_text.ts";
import { type AssociativeList, type Atom, findMemberAtom, getItemElement, type Members, type Scalar } from "./atom.ts";

export type ApplyRefusal =
  | { readonly kind: "badRequest" | "internal"; readonly message: string }
  | { readonly kind: "conflict"; readonly report: ConflictReport };

export interface Applied {
  /** The merged object, not yet decoded: it may hold nulls, and values that do not decode. */
  readonly object: JsonObject;
  readonly managedFields: readonly ManagedFieldsEntry[] | undefined;
}

/** The manager that owns the fields which existed before the first apply. */
const BEFORE_FIRST_APPLY = "before-first-apply";

/**
 * Applies a configuration to the stored object, or creates a new one.
 *
 * @param config the parsed body
 */
export function applyConfig(
  endpoint: ManagedEndpoint,
  live: KubeObject | undefined,
  config: JsonObject,
  author: Author & { readonly force: boolean },
): Result<Applied, ApplyRefusal> {
  const fault = findHeadFault(endpoint, config);
  if (fault !== undefined) return err({ kind: "badRequest", message: fault });
  const decoded = decodeManagers(live?.metadata.managedFields ?? []);
  if (!decoded.ok) return err({ kind: "internal", message: `failed to decode managed fields: ${decoded.error}` });
  let managers = decoded.value;
  const before = withoutManagedFields(live ?? getEmptyObject(endpoint.kind.schema));
  if (managers.size === 0 && live !== undefined) {
    const first = { ...author, manager: BEFORE_FIRST_APPLY };
    managers = recordUpdate(endpoint, undefined, live, managers, first) ?? managers;
  }
  const { apiVersion: _apiVersion, kind: _kind, ...fields } = config;
  const applied = applyFields(endpoint, before, fields, managers, author);
  if (!applied.ok) return applied;
  const { object } = applied.value;
  return ok({
    object: isLastAppliedManager(author.manager) ? syncLastApplied(object, config) : object,
    managedFields: encodeManagers(applied.value.managers),
  });
}

/**
 * Applies fields. Fields that client-side apply has set, and no one has changed since, already belong to the applier.
 */
function applyFields(
  endpoint: ManagedEndpoint,
  before: JsonObject,
  fields: JsonObject,
  managers: Managers,
  author: Author & { readonly force: boolean },
): Result<{ readonly object: JsonObject; readonly managers: Managers }, ApplyRefusal> {
  const typeFault = findConfigFault(fields, endpoint.atom);
  if (typeFault !== undefined) {
    const message = `failed to create typed patch object (${describeApplied(endpoint.kind, fields)}): ${typeFault}`;
    return err({ kind: "internal", message });
  }
  const name = {
    manager: author.manager,
    operation: "Apply",
    apiVersion: formatApiVersion(endpoint.kind),
    subresource: endpoint.subresource,
  } as const;
  const key = formatManagerKey(name);
  const reconciled = reconcileManagers(endpoint, managers);
  const last = reconciled.get(key);
  const set = collectLeaves(fields, endpoint.atom, endpoint.ignored);
  const claimed: Managers = new Map(reconciled).set(key, { ...name, set, time: last?.time });
  const merged = mergeValue(before, fields, endpoint.atom);
  const pruned = pruneFields(merged, endpoint.atom, last?.set ?? NO_FIELDS, claimed, name.apiVersion);
  const object = isJsonObject(pruned) ? pruned : {};
  const result = takeOver(endpoint, before, object, claimed, key);
  if (result === undefined) return err({ kind: "internal", message: "failed to compare objects" });
  const overlaps = author.force ? NO_OVERLAPS : findConflicts(endpoint, before, result.overlaps, author.manager);
  if (overlaps.size > 0) return err({ kind: "conflict", report: reportConflicts(overlaps, managers) });
  const entry = result.managers.get(key);
  if (entry !== undefined) {
    const owned = subtract(entry.set, SYSTEM_FIELDS);
    // An apply that changes nothing keeps the time.
    const time = isEqualJson(before, object) ? entry.time : author.time;
    if (owned.size === 0) result.managers.delete(key);
    else result.managers.set(key, { ...entry, set: owned, time });
  }
  return ok({ object, managers: result.managers });
}

const NO_OVERLAPS: Overlaps = new Map();

/** Finds the conflicts. A field that kubectl's client-side apply has set is no conflict for kubectl. */
function findConflicts(endpoint: ManagedEndpoint, before: JsonObject, overlaps: Overlaps, manager: string): Overlaps {
  const allowed = isLastAppliedManager(manager) && overlaps.size > 0
    ? findLastAppliedFields(endpoint, before)
    : undefined;
  if (allowed === undefined) return overlaps;
  const rest = new Map<string, FieldSet>();
  for (const [key, set] of overlaps) {
    const left = subtract(set, allowed);
    if (left.size > 0) rest.set(key, left);
  }
  return rest;
}

/** Finds a fault in `apiVersion`, `kind` or `managedFields` of a configuration, before its fields are checked. */
function findHeadFault(endpoint: ManagedEndpoint, config: JsonObject): string | undefined {
  const named = splitApiVersion(config["apiVersion"]);
  // If the version cannot be parsed, upstream does not report the kind either.
  if (named === undefined) return "invalid object type: /, Kind=";
  const kind = typeof config["kind"] === "string" ? config["kind"] : "";
  const { group, version } = endpoint.kind;
  if (named.group !== group || named.version !== version || kind !== endpoint.kind.kind) {
    return `invalid object type: ${named.group}/${named.version}, Kind=${kind}`;
  }
  const metadata = config["metadata"];
  const entries = isJsonObject(metadata) ? metadata["managedFields"] : undefined;
  // Entries that cannot be decoded count as absent (apimachinery `unstructured.go`, GetManagedFields).
  const isSent = Array.isArray(entries) &&
    entries.every((entry) => findUnstructuredFault(managedFieldsEntrySchema, entry) === undefined);
  return isSent ? "metadata.managedFields must be nil" : undefined;
}

function splitApiVersion(apiVersion: unknown): { readonly group: string; readonly version: string } | undefined {
  if (typeof apiVersion !== "string") return { group: "", version: "" };
  const parts = apiVersion.split("/");
  if (parts.length > 2) return undefined;
  return parts.length === 1 ? { group: "", version: parts[0]! } : { group: parts[0]!, version: parts[1]! };
}

/** Formats the name of an object for messages: `<namespace>/<name>; <group>/<version>, Kind=<kind>`. */
export function describeApplied(kind: Kind, fields: JsonObject): string {
  const metadata = isJsonObject(fields["metadata"]) ? fields["metadata"] : {};
  const text = (value: unknown): string => typeof value === "string" ? value : "";
  return `${text(metadata["namespace"])}/${text(metadata["name"])}; ` +
    `${kind.group}/${kind.version}, Kind=${kind.kind}`;
}

function withoutManagedFields(object: object): JsonObject {
  const { metadata, ...rest } = object as JsonObject;
  if (!isJsonObject(metadata)) return { ...rest };
  const { managedFields: _managedFields, ...kept } = metadata;
  return { metadata: kept, ...rest };
}

interface ConflictReport {
  readonly message: string;
  readonly causes: readonly StatusCause[];
}

/** A field that another manager owns. */
interface Conflict {
  readonly owner: string;
  readonly field: string;
}

/** Reports every field of every owner, with the owners sorted by their keys and the fields in the order of their set. */
function reportConflicts(overlaps: Overlaps, managers: Managers): ConflictReport {
  const owners = [...overlaps.keys()].sort(compareBytes);
  const conflicts = owners.flatMap((key): readonly Conflict[] => {
    const owner = printOwner(managers.get(key)!);
    return printPaths(overlaps.get(key)!).map((field) => ({ owner, field }));
  });
  return {
    message: formatConflicts(conflicts),
    causes: conflicts.map(({ owner, field }) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${owner}`,
      field,
    })),
  };
}

function formatConflicts(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) {
    return `Apply failed with 1 conflict: conflict with ${first.owner}: ${first.field}`;
  }
  const lines: string[] = [];
  let owner = "";
  for (const conflict of conflicts) {
    if (conflict.owner !== owner) lines.push(`conflicts with ${conflict.owner}:`);
    owner = conflict.owner;
    lines.push(`- ${conflict.field}`);
  }
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
}

function printOwner({ manager, operation, apiVersion, subresource }: ManagerEntry): string {
  const through = subresource === "" ? "" : ` with subresource ${goQuote(subresource)}`;
  return `${goQuote(manager)}${through}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
}

/** Prints the paths of a set in upstream's order: the members of one level precede those below. */
function printPaths(set: FieldSet, prefix = ""): string[] {
  const sorted = [...set].sort(([a], [b]) => compareElements(a, b));
  return [
    ...sorted.filter(([, { isMember }]) => isMember).map(([element]) => prefix + printElement(element)),
    ...sorted.flatMap(([element, { children }]) => printPaths(children, prefix + printElement(element))),
  ];
}

const ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";

/** Reports whether a manager is kubectl, the only one that has used client-side apply. */
function isLastAppliedManager(manager: string): boolean {
  return manager === "kubectl";
}

/** Finds the fields whose values equal those in the annotation; undefined if there is no valid annotation. */
function findLastAppliedFields(endpoint: ManagedEndpoint, live: JsonObject): FieldSet | undefined {
  const text = getLastApplied(live);
  if (text === "") return undefined;
  const config = tryParseJson(text);
  if (!isJsonObject(config) || config["apiVersion"] !== formatApiVersion(endpoint.kind)) return undefined;
  const { apiVersion: _apiVersion, kind: _kind, ...fields } = config;
  if (findConfigFault(fields, endpoint.atom) !== undefined) return undefined;
  const comparison = compareFields(fields, live, endpoint.atom);
  if (comparison === undefined) return undefined;
  return [comparison.modified, comparison.added, comparison.removed]
    .reduce(subtract, collectLeaves(fields, endpoint.atom));
}

/** Sets the annotation of an object that has one to the configuration that was applied. */
function syncLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  if (getLastApplied(object) === "") return object;
  const metadata = object["metadata"] as JsonObject;
  const { [ANNOTATION]: _annotation, ...others } = getAnnotations(object);
  const annotations = { ...others, [ANNOTATION]: `${marshalJson(sorted(withoutAnnotation(config)))}\n` };
  return {
    ...object,
    metadata: { ...metadata, annotations: areAnnotationsTooLarge(annotations) ? others : annotations },
  };
}

function withoutAnnotation(config: JsonObject): JsonObject {
  const metadata = config["metadata"];
  if (!isJsonObject(metadata) || !isJsonObject(metadata["annotations"])) return config;
  const { [ANNOTATION]: _annotation, ...annotations } = metadata["annotations"];
  return { ...config, metadata: { ...metadata, annotations } };
}

function getAnnotations(object: JsonObject): JsonObject {
  const metadata = object["metadata"];
  const annotations = isJsonObject(metadata) ? metadata["annotations"] : undefined;
  return isJsonObject(annotations) ? annotations : {};
}

function getLastApplied(object: JsonObject): string {
  const value = getAnnotations(object)[ANNOTATION];
  return typeof value === "string" ? value : "";
}

/** Sorts members as Go prints maps. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(sortedKeys(value).map((key) => [key, sorted(value[key])]));
}

interface ConfigFault {
  readonly path: string;
  readonly text: string;
}

/** The largest number of characters of all faults. A long key is repeated in each of the faults below it. */
const MAX_CHARS = 1_048_576;

/** Finds the faults of a configuration and formats as many as fit into one message of upstream's form. */
export function findConfigFault(config: unknown, atom: Atom): string | undefined {
  const texts: string[] = [];
  let chars = 0;
  for (const { path, text } of findFaults(config, atom, "")) {
    chars += path.length + text.length;
    if (texts.length > 0 && chars > MAX_CHARS) break;
    texts.push(path === "" ? text : `${path}: ${text}`);
  }
  return texts.length < 2 ? texts[0] : ["errors:", ...texts.map((text) => `  ${text}`)].join("\n");
}

function* findFaults(value: unknown, atom: Atom, path: string): Generator<ConfigFault> {
  if (value === null) return;
  switch (atom.kind) {
    case "any":
      return;
    case "scalar": {
      const text = findScalarFault(value, atom.scalar);
      if (text !== undefined) yield { path, text };
      return;
    }
    case "list":
      if (!Array.isArray(value)) yield { path, text: `expected list, got &{${printGoValue(value)}}` };
      else if (atom.relation === "associative") yield* findItemFaults(value, atom, path);
      else for (const [index, item] of value.entries()) yield* findFaults(item, atom.of, `${path}[${index}]`);
      return;
    default:
      if (!isJsonObject(value)) yield { path, text: `expected map, got &{${printGoValue(value)}}` };
      else yield* findMemberFaults(value, atom, path);
  }
}

function* findMemberFaults(
  value: object,
  atom: Members,
  path: string,
): Generator<ConfigFault> {
  for (const [name, member] of Object.entries(value)) {
    const at = `${path}${printElement(fieldElement(name))}`;
    const type = findMemberAtom(atom, name);
    // The first name that a struct does not have ends the search in it.
    if (type === undefined) {
      yield { path: at, text: "field not declared in schema" };
      return;
    }
    yield* findFaults(member, type, at);
  }
}

function* findItemFaults(items: readonly unknown[], list: AssociativeList, path: string): Generator<ConfigFault> {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const element = getItemElement(list, item);
    if (!element.ok) {
      yield { path, text: `element ${index}: ${element.error}` };
      return;
    }
    const shown = printElement(element.value);
    if (seen.has(element.value)) yield { path, text: `duplicate entries for key ${shown}` };
    seen.add(element.value);
    yield* findFaults(item, list.of, `${path}${shown}`);
  }
}

function findScalarFault(value: unknown, scalar: Scalar): string | undefined {
  switch (scalar) {
    case "numeric":
      return getJsonType(value) === "number" ? undefined : `expected numeric (int or float), got ${getGoType(value)}`;
    case "string":
      return typeof value === "string"
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `expected boolean, got &{${printGoValue(value)}}`;
    case "untyped":
      return typeof value === "object" && !(value instanceof ExactNumber)
        ? `expected any scalar, got &{${printGoValue(value)}}`
        : undefined;
  }
}
