/** Reads messages into canonical objects; takes lean encoders that leave zero values out, skips unknown fields. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { FieldType, MessageSchema } from "../schema.ts";
import { sortedKeys } from "./_order.ts";
import { buildMessage, type MessagePlan, planOf, zeroOf } from "./_plan.ts";
import { encodeBase64 } from "./base64.ts";
import { DecodeError } from "./errors.ts";
import { setOwn } from "./json_parser.ts";
import { canonicalQuantity } from "./quantity.ts";
import { type Instant, printMicroTime, printTime, ZERO_SECONDS } from "./time.ts";

/**
 * Decodes bytes without envelope into a canonical object. Unknown fields are skipped; throws `DecodeError` for bytes
 * that are cut short, malformed, or hold what JSON cannot say.
 */
export function decodeMessage(schema: MessageSchema, bytes: Uint8Array): Record<string, unknown> {
  try {
    return readMessage(planOf(schema), bytes);
  } catch (error) {
    if (error instanceof DecodeError) throw error;
    const detail = error instanceof RangeError ? "unexpected EOF" : error instanceof Error ? error.message : "";
    throw new DecodeError(`proto: cannot parse message: ${detail}`, error);
  }
}

function readMessage(plan: MessagePlan, bytes: Uint8Array): Record<string, unknown> {
  const slots: unknown[] = new Array(plan.fields.length);
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = plan.byNumber.get(number);
    if (field === undefined) reader.skip(wireType, number);
    else slots[field.index] = readField(reader, field.type, wireType, slots[field.index], field.name);
  }
  for (const field of plan.fields) {
    if (field.type.kind === "map" && slots[field.index] !== undefined) slots[field.index] = sorted(slots[field.index]);
  }
  return buildMessage(plan, slots);
}

/** Maps in Go's order; encoders other than gogo's write them in any. */
function sorted(map: unknown): unknown {
  const entries = map as Readonly<Record<string, unknown>>;
  const keys = sortedKeys(entries);
  if (Object.keys(entries).every((key, index) => key === keys[index])) return map;
  const out: Record<string, unknown> = {};
  for (const key of keys) setOwn(out, key, entries[key]);
  return out;
}

/** Reads one occurrence of a field; lists and maps grow from `known`. */
function readField(reader: BinaryReader, type: FieldType, wireType: WireType, known: unknown, name: string): unknown {
  const isVarint = type.kind === "int32" || type.kind === "int64" || type.kind === "bool";
  if (wireType !== (isVarint ? WireType.Varint : WireType.LengthDelimited)) {
    throw new DecodeError(`proto: wrong wireType = ${wireType} for field ${name}`);
  }
  switch (type.kind) {
    case "string":
      return reader.string();
    case "bytes":
      return encodeBase64(reader.bytes());
    case "int32":
      return reader.int32();
    case "int64":
      return Number(reader.int64());
    case "bool":
      return reader.bool();
    case "list":
      return readListItem(reader, type, wireType, known, name);
    case "map":
      return readMapEntry(type.of, reader.bytes(), known, name);
    default:
      return readBody(type, reader.bytes());
  }
}

function readBody(type: FieldType, bytes: Uint8Array): unknown {
  switch (type.kind) {
    case "message":
      return readMessage(planOf(type.message()), bytes);
    case "time":
      return printTime({ seconds: readInstant(bytes).seconds, nanos: 0 });
    case "microTime":
      return printMicroTime(readInstant(bytes));
    case "json":
      return parseFree(readFirst(bytes));
    default:
      return canonicalQuantity(readFirst(bytes) || "0");
  }
}

function readInstant(bytes: Uint8Array): Instant {
  if (bytes.length === 0) return { seconds: ZERO_SECONDS, nanos: 0 };
  const instant = { seconds: 0, nanos: 0 };
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.Varint) instant.seconds = Number(reader.int64());
    else if (number === 2 && wireType === WireType.Varint) instant.nanos = reader.int32();
    else reader.skip(wireType, number);
  }
  if (instant.nanos < 0 || instant.nanos > 999_999_999) {
    throw new DecodeError(`time out of range: ${instant.nanos} nanoseconds`);
  }
  return instant;
}

/** The text in field 1 of a message that has no other. */
function readFirst(bytes: Uint8Array): string {
  let text = "";
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) text = reader.string();
    else reader.skip(wireType, number);
  }
  return text;
}

function parseFree(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DecodeError("proto: raw field does not hold JSON", error);
  }
}

function readListItem(
  reader: BinaryReader,
  type: FieldType & { kind: "list" },
  wireType: WireType,
  known: unknown,
  name: string,
): unknown {
  const items: unknown[] = Array.isArray(known) ? known : [];
  if (type.wrapped === true) readWrapped(type.of, reader.bytes(), items, name);
  else items.push(readField(reader, type.of, wireType, undefined, name));
  return items;
}

function readWrapped(of: FieldType, bytes: Uint8Array, items: unknown[], name: string): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1) items.push(readField(reader, of, wireType, undefined, name));
    else reader.skip(wireType, number);
  }
}

function readMapEntry(of: FieldType, bytes: Uint8Array, known: unknown, name: string): unknown {
  const map = (known ?? {}) as Record<string, unknown>;
  const valueType: FieldType = of.kind === "list" ? { ...of, wrapped: true } : of;
  let key = "";
  let value: unknown;
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) key = reader.string();
    else if (number === 2) value = readField(reader, valueType, wireType, undefined, name);
    else reader.skip(wireType, number);
  }
  setOwn(map, key, value ?? zeroOf(of) ?? (of.kind === "bytes" ? "" : []));
  return map;
}
