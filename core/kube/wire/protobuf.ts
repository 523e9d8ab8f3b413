/**
 * Decodes and encodes messages as gogo's generated code does. The decoder accepts omitted zero values, skips unknown fields
 * and merges repeated messages. The encoder sorts fields by number and maps by key, and always writes scalars that are not
 * pointers. It writes from the end to the start.
 */
import { capitalize } from "../../lib/printable.ts";
import { DecodeError, ExactNumber, findInfinite, inGoOrder, isTooDeep, setOwn } from "../json_value.ts";
import { type FieldType, isPointer, type MessageSchema } from "../schema.ts";
import { buildMessage, createZeroValue, type FieldPlan, getMessagePlan, type MessagePlan } from "./message_plan.ts";
import { LENGTH_DELIMITED, VARINT, WireReader, WireWriter } from "./wire_format.ts";
import type { ElementBudget } from "./element_budget.ts";
import {
  canonicalQuantity,
  type Instant,
  parseCanonicalInstant,
  printMicroTime,
  printTime,
  ZERO_SECONDS,
} from "./scalars.ts";
import { sortedKeys } from "../../lib/go_text.ts";

/**
 * Decodes bytes without envelope into a canonical object. Throws `DecodeError` for bytes that are truncated or malformed,
 * with gogo's message, and for values that JSON cannot express; StatusError 413 for too many values.
 */
export function decodeMessage<T extends object>(
  schema: MessageSchema<T>,
  bytes: Uint8Array,
  budget?: ElementBudget,
): T & Record<string, unknown> {
  // The object has the fields of its schema, and this is the schema's type.
  return readMessage(getMessagePlan(schema), new WireReader(bytes, budget), undefined) as T & Record<string, unknown>;
}

function readMessage(plan: MessagePlan, reader: WireReader, before: unknown): Record<string, unknown> {
  const slots: unknown[] = new Array(plan.fields.length);
  if (before !== undefined) {
    reader.budget.addRepeat();
    const known = before as Readonly<Record<string, unknown>>;
    for (const field of plan.fields) slots[field.index] = known[field.name];
  }
  while (reader.hasMore) {
    const { number, wireType } = reader.tag(plan.structName);
    const field = plan.byNumber.get(number);
    if (field === undefined) {
      reader.skip(wireType);
      continue;
    }
    assertWireType(field.type, wireType, field.name);
    slots[field.index] = readField(reader, field.type, slots[field.index]);
  }
  // Encoders other than gogo's write the keys of maps in any order.
  for (const { index } of plan.maps) {
    if (slots[index] !== undefined) slots[index] = inGoOrder(slots[index] as Record<string, unknown>);
  }
  return buildMessage(plan, slots);
}

function assertWireType(type: FieldType, wireType: number, name: string): void {
  const isVarint = type.kind === "int32" || type.kind === "int64" || type.kind === "bool";
  if (wireType !== (isVarint ? VARINT : LENGTH_DELIMITED)) {
    throw new DecodeError(`proto: wrong wireType = ${wireType} for field ${goFieldName(name)}`);
  }
}

/** Go's names of fields that differ from the capitalized JSON names. */
const GO_FIELD_NAMES: ReadonlyMap<string, string> = new Map([
  ["apiGroup", "APIGroup"],
  ["apiGroups", "APIGroups"],
  ["apiVersion", "APIVersion"],
  ["externalID", "DoNotUseExternalID"],
  ["metadata", "ObjectMeta"],
  ["osImage", "OSImage"],
  ["reportingComponent", "ReportingController"],
  ["uid", "UID"],
]);

function goFieldName(name: string): string {
  return GO_FIELD_NAMES.get(name) ?? capitalize(name);
}

/** Decodes one occurrence of a field; lists, maps and messages are added to `before`. */
function readField(reader: WireReader, type: FieldType, before: unknown): unknown {
  switch (type.kind) {
    case "string":
      return reader.text();
    case "bytes":
      return reader.base64();
    case "int32":
      return reader.int32();
    case "int64":
      return reader.int64();
    case "bool":
      return reader.bool();
    case "list":
      return readListItem(reader, type, before);
    case "map":
      return readMapEntry(type.of, reader.nested(), before);
    default:
      reader.budget.add();
      return readBody(type, reader.nested(), before);
  }
}

function readBody(type: FieldType, reader: WireReader, before: unknown): unknown {
  switch (type.kind) {
    case "message":
      return readMessage(getMessagePlan(type), reader, before);
    case "time":
      return printTime({ seconds: readInstant(reader).seconds, nanos: 0 });
    case "microTime":
      return printMicroTime(readInstant(reader));
    case "json":
      return parseFree(readFirst(reader));
    case "intOrString":
      return readIntOrString(reader);
    default:
      return canonicalQuantity(readFirst(reader) || "0");
  }
}

function readInstant(reader: WireReader): Instant {
  if (!reader.hasMore) return { seconds: ZERO_SECONDS, nanos: 0 };
  const instant = { seconds: 0, nanos: 0 };
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("Timestamp");
    if (number === 1 || number === 2) {
      if (wireType !== VARINT) {
        throw new DecodeError(`proto: wrong wireType = ${wireType} for field ${number === 1 ? "Seconds" : "Nanos"}`);
      }
      if (number === 1) instant.seconds = reader.int64();
      else instant.nanos = reader.int32();
    } else reader.skip(wireType);
  }
  if (instant.nanos < 0 || instant.nanos > 999_999_999) {
    throw new DecodeError(`time out of range: ${instant.nanos} nanoseconds`);
  }
  return instant;
}

/** Decodes the text in field 1, the only field of its message. */
function readFirst(reader: WireReader): string {
  let text = "";
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("Quantity");
    if (number === 1 && wireType === LENGTH_DELIMITED) text = reader.text();
    else reader.skip(wireType);
  }
  return text;
}

/** Decodes the type in field 1, and the number in field 2 or the text in field 3. */
function readIntOrString(reader: WireReader): number | string {
  let isText = false;
  let number = 0;
  let text = "";
  while (reader.hasMore) {
    const { number: field, wireType } = reader.tag("IntOrString");
    if (field === 1 && wireType === VARINT) isText = reader.int64() !== 0;
    else if (field === 2 && wireType === VARINT) number = reader.int32();
    else if (field === 3 && wireType === LENGTH_DELIMITED) text = reader.text();
    else reader.skip(wireType);
  }
  return isText ? text : number;
}

/** Keeps the text of a number beyond the range of a float, which JSON could not print again. */
function keepInfinite(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const isInfinite = typeof value === "number" && !Number.isFinite(value);
  return isInfinite && context?.source !== undefined ? new ExactNumber(context.source) : value;
}

/** Matches every number that is beyond the range of a float, and a few others: it has an exponent or 309 digits. */
const MAYBE_INFINITE = /\d[eE]|\d{20}/;

function parseFree(text: string): unknown {
  if (text === "") return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DecodeError("proto: raw field does not hold JSON", error);
  }
  if (isTooDeep(value)) throw new DecodeError("exceeded max depth");
  return MAYBE_INFINITE.test(text) && findInfinite(value) !== undefined ? JSON.parse(text, keepInfinite) : value;
}

function readListItem(reader: WireReader, type: FieldType & { kind: "list" }, before: unknown): unknown {
  const items: unknown[] = Array.isArray(before) ? before : [];
  reader.budget.add();
  if (type.wrapped === true) readWrapped(type.of, reader.nested(), items);
  else items.push(readField(reader, type.of, undefined));
  return items;
}

function readWrapped(of: FieldType, reader: WireReader, items: unknown[]): void {
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("Items");
    if (number === 1) {
      assertWireType(of, wireType, "items");
      reader.budget.add();
      items.push(readField(reader, of, undefined));
    } else reader.skip(wireType);
  }
}

/** Decodes an entry of a map. As upstream, it does not check the wire types of key and value. */
function readMapEntry(of: FieldType, reader: WireReader, before: unknown): unknown {
  reader.budget.add();
  const map = (before ?? {}) as Record<string, unknown>;
  const valueType: FieldType = of.kind === "list" ? { ...of, wrapped: true } : of;
  let key = "";
  let value: unknown;
  while (reader.hasMore) {
    const { number, wireType } = reader.entryTag();
    if (number === 1) key = reader.text();
    else if (number === 2) value = readField(reader, valueType, undefined);
    else reader.skip(wireType);
  }
  setOwn(map, key, value ?? createZeroValue(of) ?? (of.kind === "bytes" ? "" : []));
  return map;
}

/** Encodes an object, without envelope. Fields that are missing count as zero. */
export function encodeMessage(schema: MessageSchema, object: object): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writeMessage(writer, getMessagePlan(schema), object as Readonly<Record<string, unknown>>);
  return writer.finish();
}

/** Encodes an object as a field of the message around it. */
export function encodeField(number: number, schema: MessageSchema, object: object): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writeMessage(writer, getMessagePlan(schema), object as Readonly<Record<string, unknown>>);
  writer.message(number, 0);
  return writer.finish();
}

/** Writes the fields of a message in the order of their numbers. */
function writeMessage(writer: WireWriter, plan: MessagePlan, object: Readonly<Record<string, unknown>>): void {
  for (let i = plan.byNumberOrder.length - 1; i >= 0; i--) {
    const field = plan.byNumberOrder[i]!;
    const value = object[field.name];
    if (value === undefined || value === null) {
      if (!isPointer(field.schema)) writeZero(writer, field);
    } else writeField(writer, field.schema.number, field.type, value);
  }
}

/** Writes the zero value of a field, unless it is a nil list, map or bytes. */
function writeZero(writer: WireWriter, field: FieldPlan): void {
  const { kind } = field.type;
  if (kind === "list" || kind === "map" || kind === "bytes") return;
  if (kind === "time" || kind === "microTime" || kind === "json") writer.message(field.schema.number, writer.size);
  else writeField(writer, field.schema.number, field.type, createZeroValue(field.type));
}

function writeField(writer: WireWriter, number: number, type: FieldType, value: unknown): void {
  switch (type.kind) {
    case "string":
      writer.string(number, String(value));
      break;
    case "bytes":
      writer.base64(number, String(value));
      break;
    case "int32":
      writer.int32(number, Number(value));
      break;
    case "int64":
      writer.int64(number, Number(value));
      break;
    case "bool":
      writer.bool(number, value === true);
      break;
    case "list":
      writeList(writer, number, type, value);
      break;
    case "map":
      writeMap(writer, number, type.of, value as Readonly<Record<string, unknown>>);
      break;
    default: {
      const before = writer.size;
      writeBody(writer, type, value);
      writer.message(number, before);
    }
  }
}

function writeBody(writer: WireWriter, type: FieldType, value: unknown): void {
  switch (type.kind) {
    case "message":
      writeMessage(writer, getMessagePlan(type), value as Readonly<Record<string, unknown>>);
      break;
    case "time":
    case "microTime": {
      const { seconds, nanos } = parseCanonicalInstant(String(value));
      writer.int32(2, type.kind === "time" ? 0 : nanos);
      writer.int64(1, seconds);
      break;
    }
    case "json":
      writer.string(1, JSON.stringify(value));
      break;
    case "quantity":
      writer.string(1, String(value));
      break;
    case "intOrString": {
      const isText = typeof value === "string";
      writer.string(3, isText ? value : "");
      writer.int32(2, isText ? 0 : Number(value));
      writer.int64(1, isText ? 1 : 0);
    }
  }
}

function writeList(writer: WireWriter, number: number, type: FieldType & { kind: "list" }, value: unknown): void {
  const before = writer.size;
  const items = value as readonly unknown[];
  for (let i = items.length - 1; i >= 0; i--) writeField(writer, type.wrapped === true ? 1 : number, type.of, items[i]);
  if (type.wrapped === true) writer.message(number, before);
}

function writeMap(
  writer: WireWriter,
  number: number,
  of: FieldType,
  map: Readonly<Record<string, unknown>>,
): void {
  const valueType: FieldType = of.kind === "list" ? { ...of, wrapped: true } : of;
  for (const key of sortedKeys(map).reverse()) {
    const before = writer.size;
    writeField(writer, 2, valueType, map[key] ?? createZeroValue(of) ?? []);
    writer.string(1, key);
    writer.message(number, before);
  }
}
