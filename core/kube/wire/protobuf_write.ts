/**
 * Encodes messages as gogo does: fields by number, scalars that are not pointers always, maps sorted by key. As in gogo,
 * everything is written from the end to the start.
 */
import { type FieldType, isPointer, type MessageSchema } from "../schema.ts";
import { sortedKeys } from "../../lib/byte_order.ts";
import { createZeroValue, type FieldPlan, getMessagePlan, type MessagePlan } from "./message_plan.ts";
import { WireWriter } from "./wire_writer.ts";
import { parseCanonicalInstant } from "./time.ts";

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
