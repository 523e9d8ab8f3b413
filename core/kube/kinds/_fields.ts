/** Short names for the field types, so that a kind reads like a table. */
import type { FieldType, MessageSchema } from "../schema.ts";

/** Text. */
export const STRING: FieldType = { kind: "string" };
/** Base64 text. */
export const BYTES: FieldType = { kind: "bytes" };
/** A whole number of 32 bits. */
export const INT32: FieldType = { kind: "int32" };
/** A whole number of 64 bits; a JavaScript number in memory. */
export const INT64: FieldType = { kind: "int64" };
/** True or false. */
export const BOOL: FieldType = { kind: "bool" };
/** RFC 3339 text with seconds. */
export const TIME: FieldType = { kind: "time" };
/** RFC 3339 text with microseconds. */
export const MICRO_TIME: FieldType = { kind: "microTime" };
/** Any JSON, kept as it came. */
export const JSON_VALUE: FieldType = { kind: "json" };
/** An object of any kind, kept as it came. */
export const RAW_EXTENSION: FieldType = { kind: "json", anyKind: true };
/** An amount with an optional unit, such as `250m` or `1Gi`. */
export const QUANTITY: FieldType = { kind: "quantity" };

/** A list of one type. */
export function list(of: FieldType): FieldType {
  return { kind: "list", of };
}

/** A map from text to one type. */
export function map(of: FieldType): FieldType {
  return { kind: "map", of };
}

/** A message; a function, so that schemas may refer to each other in any order. */
export function message(message: () => MessageSchema): FieldType {
  return { kind: "message", message };
}
