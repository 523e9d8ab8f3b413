/** Short names for the field types, so that a kind reads like a table. */
import type { FieldType, MergeRules, MessageSchema } from "../schema.ts";

export const STRING: FieldType = { kind: "string" };
/** Bytes, which are base64 text in memory and in JSON. */
export const BYTES: FieldType = { kind: "bytes" };
export const INT32: FieldType = { kind: "int32" };
/** A whole number of 64 bits, which is a JavaScript number in memory. */
export const INT64: FieldType = { kind: "int64" };
export const BOOL: FieldType = { kind: "bool" };
/** A time as RFC 3339 text with seconds. */
export const TIME: FieldType = { kind: "time" };
/** A time as RFC 3339 text with microseconds. */
export const MICRO_TIME: FieldType = { kind: "microTime" };
/** Any JSON value, which is kept unchanged. */
export const JSON_VALUE: FieldType = { kind: "json" };
/** An object of any kind, which is kept unchanged. */
export const RAW_EXTENSION: FieldType = { kind: "json", anyKind: true };
/** An amount with an optional unit, such as `250m` or `1Gi`. */
export const QUANTITY: FieldType = { kind: "quantity" };

/** A number of 32 bits, or a text. */
export const INT_OR_STRING: FieldType = { kind: "intOrString" };

/** Describes a list whose elements have one type. */
export function list(of: FieldType): FieldType {
  return { kind: "list", of };
}

/** Describes a map from text to one type. */
export function map(of: FieldType): FieldType {
  return { kind: "map", of };
}

/** Describes a message. The schema is passed as a function, so that schemas may refer to each other in any order. */
export function message(message: () => MessageSchema): FieldType {
  return { kind: "message", message };
}

/** Describes how a list of messages with a key is merged, by strategic merge patches and by server-side apply. */
export function mergedBy(key: string): MergeRules {
  return { listType: "map", listMapKeys: [key], patchStrategy: "merge", patchMergeKey: key };
}
