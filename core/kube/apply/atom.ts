/**
 * The ownership types of fields: a field is owned as a whole, or its parts are owned one by one. They are derived from the
 * description of a kind, as upstream derives its schema from OpenAPI (kube-openapi `schemaconv`). The type of a list
 * determines the path elements of its items (structured-merge-diff `typed/helpers.go`).
 */
import type { FieldType, MergeRules, MessageSchema } from "../schema.ts";
import { goQuoteList } from "../../lib/go_text.ts";
import { isJsonObject } from "../json_value.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { keyElement, valueElement } from "./field_set.ts";

/** How a value is divided into parts that are owned separately. */
export type Atom =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  /** A list that is owned as a whole. */
  | { readonly kind: "list"; readonly relation: "atomic"; readonly of: Atom }
  /** A list whose items are owned one by one, identified by their value or by some of their fields. */
  | { readonly kind: "list"; readonly relation: "associative"; readonly keys: readonly ListKey[]; readonly of: Atom }
  /** A map whose entries are owned one by one unless it is atomic. */
  | { readonly kind: "map"; readonly isAtomic: boolean; readonly of: Atom }
  | { readonly kind: "struct"; readonly isAtomic: boolean; readonly fields: ReadonlyMap<string, Atom> }
  /** A value of any type, which is owned as a whole. */
  | { readonly kind: "any" };

/** A value whose members are owned one by one unless it is atomic. */
export type Members = Extract<Atom, { readonly kind: "struct" | "map" }>;

/** A field that identifies items; an item without it counts as one with its default. */
interface ListKey {
  readonly name: string;
  /** Absent if the field has no default. */
  readonly default?: unknown;
}

/** A list whose items are owned one by one. */
export type AssociativeList = Extract<Atom, { readonly relation: "associative" }>;

/** The types of scalars that a configuration is checked for; times and quantities accept any scalar. */
export type Scalar = "string" | "numeric" | "boolean" | "untyped";

const ATOMS = new WeakMap<MessageSchema, Map<boolean, Atom>>();

/** Returns the atom of a message, which is created at first use. */
export function getAtom(schema: MessageSchema): Atom {
  return getStructAtom(schema, schema.mapType === "atomic");
}

export function findMemberAtom(
  atom: Members,
  name: string,
): Atom | undefined {
  return atom.kind === "map" ? atom.of : atom.fields.get(name);
}

function getStructAtom(schema: MessageSchema, isAtomic: boolean): Atom {
  let made = ATOMS.get(schema);
  if (made === undefined) ATOMS.set(schema, made = new Map());
  const known = made.get(isAtomic);
  if (known !== undefined) return known;
  const fields = new Map(
    Object.entries(schema.fields).map(([name, field]) => [name, createFieldAtom(field.type, field)]),
  );
  const atom: Atom = { kind: "struct", isAtomic, fields };
  made.set(isAtomic, atom);
  return atom;
}

function createFieldAtom(type: FieldType, rules: MergeRules): Atom {
  switch (type.kind) {
    case "message":
      return getStructAtom(type, (rules.mapType ?? type.mapType) === "atomic");
    case "map":
      return { kind: "map", isAtomic: rules.mapType === "atomic", of: createFieldAtom(type.of, NO_RULES) };
    case "list":
      return createListAtom(type.of, rules);
    case "json":
      return { kind: "any" };
    default:
      return { kind: "scalar", scalar: SCALARS[type.kind] };
  }
}

function createListAtom(of: FieldType, rules: MergeRules): Atom {
  const items = createFieldAtom(of, NO_RULES);
  if (rules.listType === undefined || rules.listType === "atomic") {
    return { kind: "list", relation: "atomic", of: items };
  }
  const keys = (rules.listMapKeys ?? []).map((name) => createListKey(of, name));
  return { kind: "list", relation: "associative", keys, of: items };
}

/** Creates a list key. The default of a field that Go always writes is its zero value. */
function createListKey(of: FieldType, name: string): ListKey {
  const field = of.kind === "message" ? of.fields[name] : undefined;
  if (field?.default !== undefined) return { name, default: field.default };
  return field?.presence === "always" && field.type.kind === "string" ? { name, default: "" } : { name };
}

const NO_RULES: MergeRules = {};

const SCALARS: Readonly<Record<Exclude<FieldType["kind"], "message" | "map" | "list" | "json">, Scalar>> = {
  string: "string",
  bytes: "string",
  int32: "numeric",
  int64: "numeric",
  bool: "boolean",
  time: "untyped",
  microTime: "untyped",
  quantity: "untyped",
  intOrString: "untyped",
};

/** Returns the path element that identifies an item; the error is upstream's text. */
export function getItemElement(list: AssociativeList, item: unknown): Result<string, string> {
  return list.keys.length === 0 ? getSetItemElement(item) : getKeyedItemElement(list.keys, item);
}

function getKeyedItemElement(keys: readonly ListKey[], item: unknown): Result<string, string> {
  if (item === null) return err("associative list with keys may not have a null element");
  if (!isJsonObject(item)) return err("associative list with keys may not have non-map elements");
  const present = keys.flatMap(({ name, default: fallback }) => {
    const value = Object.hasOwn(item, name) ? item[name] : fallback;
    return value === undefined ? [] : [[name, value] as const];
  });
  if (present.length === 0) {
    const names = goQuoteList(keys.map(({ name }) => name));
    return err(
      `associative list with keys has an element that omits all key fields ${names} ` +
        "(and doesn't have default values for any key fields)",
    );
  }
  return ok(keyElement(present));
}

function getSetItemElement(item: unknown): Result<string, string> {
  if (Array.isArray(item)) return err("not supported: associative list with lists as elements");
  if (item === null) return err("associative list without keys has an element that's an explicit null");
  if (isJsonObject(item)) return err("associative list without keys has an element that's a map type");
  return ok(valueElement(item));
}
