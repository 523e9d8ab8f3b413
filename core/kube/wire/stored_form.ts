/**
 * The form of an object after it has been in the store of a Kubernetes API server: protobuf does not distinguish an
 * empty list from an absent one, so empty lists that Go always writes are read back as `null`.
 */
import { encodeBase64 } from "../../lib/encodings.ts";
import { isRecord } from "../../lib/record.ts";
import type { FieldType, MessageSchema } from "../schema.ts";
import {
  canonicalQuantity,
  decodeCanonicalBase64,
  parseCanonicalInstant,
  printMicroTime,
  printTime,
} from "./scalars.ts";
import { inGoOrder } from "../json_value.ts";
import { type FieldPlan, getMessagePlan, isEmpty } from "./message_plan.ts";

/** A cache of whether storing can change a message; most cannot change. */
const changing = new WeakMap<MessageSchema, boolean>();

/** Returns an object as it is read back from the store, or the same object if nothing changes. */
export function storedForm<T extends object>(schema: MessageSchema, object: T): T {
  return canChange(schema) ? toStoredMessage(schema, object as Record<string, unknown>) as T : object;
}

function toStoredMessage(schema: MessageSchema, object: Record<string, unknown>): Record<string, unknown> {
  let changed: Record<string, unknown> | undefined;
  for (const [name, { type, presence }] of Object.entries(schema.fields)) {
    const value = object[name];
    if (typeof value !== "object" || value === null) continue;
    const isEmptied = presence === "always" && isContainer(type) && Object.keys(value).length === 0;
    const form = isEmptied ? null : toStoredValue(type, value);
    if (form !== value) (changed ??= { ...object })[name] = form;
  }
  return changed ?? object;
}

function toStoredValue(type: FieldType, value: object): unknown {
  switch (type.kind) {
    case "message":
      return storedForm(type, value);
    case "list": {
      const { of } = type;
      if (!canChangeType(of) || !Array.isArray(value)) return value;
      const items = value.map((item: unknown) =>
        typeof item === "object" && item !== null ? toStoredValue(of, item) : item
      );
      return items.every((item, index) => item === value[index]) ? value : items;
    }
    default:
      return value;
  }
}

function canChange(schema: MessageSchema): boolean {
  const known = changing.get(schema);
  if (known !== undefined) return known;
  const found = Object.values(schema.fields).some(({ type, presence }) =>
    (presence === "always" && isContainer(type)) || canChangeType(type)
  );
  changing.set(schema, found);
  return found;
}

function canChangeType(type: FieldType): boolean {
  if (type.kind === "message") return canChange(type);
  return type.kind === "list" && canChangeType(type.of);
}

function isContainer({ kind }: FieldType): boolean {
  return kind === "list" || kind === "map";
}

/**
 * Reports whether encoding an object as protobuf and decoding it again returns the same object, with its members in the
 * same order. For a few rare objects, it returns false although they would be the same.
 */
export function isStoredForm(schema: MessageSchema, object: object): boolean {
  const { fields, byName } = getMessagePlan(schema);
  /** The index of the next expected field. */
  let next = 0;
  const skipTo = (index: number): boolean => {
    while (next < index && !isAlwaysPresent(fields[next]!)) next++;
    return next === index;
  };
  for (const [name, value] of Object.entries(object)) {
    const field = byName.get(name);
    if (field === undefined || !skipTo(field.index) || !isStoredField(field, value)) return false;
    next++;
  }
  return skipTo(fields.length);
}

function isAlwaysPresent({ schema: { presence } }: FieldPlan): boolean {
  return presence === "always" || presence === "nullable";
}

function isStoredField(field: FieldPlan, value: unknown): boolean {
  const { type } = field;
  if (value === null) return isAlwaysPresent(field) && hasNull(type);
  if (field.schema.presence === "omitempty" && isEmpty(value)) return false;
  // A list or map without members is not written.
  if (isContainer(type) && isEmpty(value)) return false;
  return isStoredValue(type, value);
}

/** Reports whether the zero value of a type is `null`. */
function hasNull({ kind }: FieldType): boolean {
  return kind === "list" || kind === "map" || kind === "bytes" || kind === "time" || kind === "microTime";
}

function isStoredValue(type: FieldType, value: unknown): boolean {
  switch (type.kind) {
    case "string":
      return typeof value === "string" && value.isWellFormed();
    case "bytes":
      return typeof value === "string" && encodeBase64(decodeCanonicalBase64(value)) === value;
    case "int32":
      return typeof value === "number" && (value | 0) === value;
    case "int64":
      return Number.isSafeInteger(value);
    case "bool":
      return typeof value === "boolean";
    case "time":
      return typeof value === "string" && printTime({ ...parseCanonicalInstant(value), nanos: 0 }) === value;
    case "microTime":
      return typeof value === "string" && printMicroTime(parseCanonicalInstant(value)) === value;
    case "json":
      return isPlainJson(value);
    case "quantity":
      return typeof value === "string" && canonicalQuantity(value) === value;
    case "intOrString":
      return typeof value === "string" ? value.isWellFormed() : typeof value === "number" && (value | 0) === value;
    case "message":
      return isRecord(value) && isStoredForm(type, value);
    case "list":
      return Array.isArray(value) && value.every((item) => isStoredValue(type.of, item));
    case "map":
      return isRecord(value) && inGoOrder(value) === value &&
        Object.entries(value).every(([key, item]) => key.isWellFormed() && isStoredValue(type.of, item));
  }
}

/** Reports whether free-form JSON consists of values that a JSON parser returns. */
function isPlainJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) {
    return value === null || value === true || value === false || typeof value === "string";
  }
  if (Array.isArray(value)) return value.every(isPlainJson);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlainJson);
}
