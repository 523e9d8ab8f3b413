/**
 * What a field is to ownership: a leaf, or something whose parts are owned one by one. Follows from the description of
 * a kind as upstream's schema follows from OpenAPI (kube-openapi `schemaconv`).
 */
import type { FieldType, MergeRules, MessageSchema } from "../schema.ts";

/** How a value is taken apart. */
export type Atom =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  /** Owned as a whole. */
  | { readonly kind: "list"; readonly relation: "atomic"; readonly of: Atom }
  /** Each item is owned on its own, told apart by its value or by some of its fields. */
  | { readonly kind: "list"; readonly relation: "associative"; readonly keys: readonly ListKey[]; readonly of: Atom }
  /** Entries of a map, owned on their own unless atomic. */
  | { readonly kind: "map"; readonly isAtomic: boolean; readonly of: Atom }
  | { readonly kind: "struct"; readonly isAtomic: boolean; readonly fields: ReadonlyMap<string, Atom> }
  /** JSON of any shape. */
  | { readonly kind: "any" };

/** A field that tells items apart; an item without it counts as one with its default. */
export interface ListKey {
  readonly name: string;
  /** Absent when the field has none. */
  readonly default?: unknown;
}

/** A list whose items are owned on their own. */
export type AssociativeList = Extract<Atom, { readonly relation: "associative" }>;

/** The types that scalars of a configuration are checked for; times and quantities take any. */
export type Scalar = "string" | "numeric" | "boolean" | "untyped";

const ATOMS = new WeakMap<MessageSchema, Map<boolean, Atom>>();

/** The atom of a message, made at first use. */
export function getAtom(schema: MessageSchema): Atom {
  return structAtom(schema, schema.mapType === "atomic");
}

/** The type of one member of a struct or map, undefined when there is none of that name. */
export function memberAtom(atom: Extract<Atom, { readonly kind: "struct" | "map" }>, name: string): Atom | undefined {
  return atom.kind === "map" ? atom.of : atom.fields.get(name);
}

function structAtom(schema: MessageSchema, isAtomic: boolean): Atom {
  let made = ATOMS.get(schema);
  if (made === undefined) ATOMS.set(schema, made = new Map());
  const known = made.get(isAtomic);
  if (known !== undefined) return known;
  const fields = new Map<string, Atom>();
  const atom: Atom = { kind: "struct", isAtomic, fields };
  // Before its fields, so that a message may hold itself.
  made.set(isAtomic, atom);
  for (const [name, field] of Object.entries(schema.fields)) fields.set(name, fieldAtom(field.type, field));
  return atom;
}

function fieldAtom(type: FieldType, rules: MergeRules): Atom {
  switch (type.kind) {
    case "message":
      return structAtom(type.message(), (rules.mapType ?? type.message().mapType) === "atomic");
    case "map":
      return { kind: "map", isAtomic: rules.mapType === "atomic", of: fieldAtom(type.of, NO_RULES) };
    case "list":
      return listAtom(type.of, rules);
    case "json":
      return { kind: "any" };
    default:
      return { kind: "scalar", scalar: SCALARS[type.kind] };
  }
}

function listAtom(of: FieldType, rules: MergeRules): Atom {
  const items = fieldAtom(of, NO_RULES);
  if (rules.listType === undefined || rules.listType === "atomic") {
    return { kind: "list", relation: "atomic", of: items };
  }
  const keys = (rules.listMapKeys ?? []).map((name) => listKey(of, name));
  return { kind: "list", relation: "associative", keys, of: items };
}

/** What Go always writes has its zero for a default. */
function listKey(of: FieldType, name: string): ListKey {
  const field = of.kind === "message" ? of.message().fields[name] : undefined;
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
};
