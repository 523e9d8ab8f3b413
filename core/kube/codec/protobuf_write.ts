/** Writes messages as gogo does: by number, scalars that are no pointers always, maps sorted by key. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { FieldType, MessageSchema } from "../schema.ts";
import { sortedKeys } from "./_order.ts";
import { type FieldPlan, type MessagePlan, planOf, zeroOf } from "./_plan.ts";
import { decodeBase64 } from "./base64.ts";
import { instantOf } from "./time.ts";

/** Encodes an object, without envelope. Fields that are missing count as zero. */
export function encodeMessage(schema: MessageSchema, object: object): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  writeMessage(writer, planOf(schema), object as Readonly<Record<string, unknown>>);
  return writer.finish();
}

/** Writes the fields of a message in the order of their numbers. */
function writeMessage(writer: BinaryWriter, plan: MessagePlan, object: Readonly<Record<string, unknown>>): void {
  for (const field of plan.byNumberOrder) {
    const value = object[field.name];
    if (value === undefined || value === null) {
      if (field.schema.presence !== "optional") writeZero(writer, field);
    } else writeField(writer, field.schema.number, field.type, value);
  }
}

/** Nil lists, maps and bytes are not written; everything else is, also when zero. */
function writeZero(writer: BinaryWriter, field: FieldPlan): void {
  const { kind } = field.type;
  if (kind === "list" || kind === "map" || kind === "bytes") return;
  if (kind === "time" || kind === "microTime" || kind === "json") {
    writer.tag(field.schema.number, WireType.LengthDelimited).fork().join();
  } else writeField(writer, field.schema.number, field.type, zeroOf(field.type));
}

function writeField(writer: BinaryWriter, number: number, type: FieldType, value: unknown): void {
  switch (type.kind) {
    case "string":
      writer.tag(number, WireType.LengthDelimited).string(String(value));
      break;
    case "bytes":
      writer.tag(number, WireType.LengthDelimited).bytes(decodeBase64(String(value)));
      break;
    case "int32":
      writer.tag(number, WireType.Varint).int32(Number(value));
      break;
    case "int64":
      writer.tag(number, WireType.Varint).int64(Number(value));
      break;
    case "bool":
      writer.tag(number, WireType.Varint).bool(value === true);
      break;
    case "list":
      writeList(writer, number, type, value);
      break;
    case "map":
      writeMap(writer, number, type.of, value as Readonly<Record<string, unknown>>);
      break;
    default:
      writer.tag(number, WireType.LengthDelimited).fork();
      writeBody(writer, type, value);
      writer.join();
  }
}

/** The inside of a field that is a message of its own. */
function writeBody(writer: BinaryWriter, type: FieldType, value: unknown): void {
  switch (type.kind) {
    case "message":
      writeMessage(writer, planOf(type.message()), value as Readonly<Record<string, unknown>>);
      break;
    case "time":
    case "microTime": {
      const { seconds, nanos } = instantOf(String(value));
      writer.tag(1, WireType.Varint).int64(seconds).tag(2, WireType.Varint).int32(type.kind === "time" ? 0 : nanos);
      break;
    }
    case "json":
      writer.tag(1, WireType.LengthDelimited).string(JSON.stringify(value));
      break;
    case "quantity":
      writer.tag(1, WireType.LengthDelimited).string(String(value));
  }
}

function writeList(writer: BinaryWriter, number: number, type: FieldType & { kind: "list" }, value: unknown): void {
  const items = value as readonly unknown[];
  if (type.wrapped === true) {
    writer.tag(number, WireType.LengthDelimited).fork();
    for (const item of items) writeField(writer, 1, type.of, item);
    writer.join();
  } else for (const item of items) writeField(writer, number, type.of, item);
}

function writeMap(
  writer: BinaryWriter,
  number: number,
  of: FieldType,
  map: Readonly<Record<string, unknown>>,
): void {
  const valueType: FieldType = of.kind === "list" ? { ...of, wrapped: true } : of;
  for (const key of sortedKeys(map)) {
    writer.tag(number, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writeField(writer, 2, valueType, map[key] ?? zeroOf(of) ?? []);
    writer.join();
  }
}
