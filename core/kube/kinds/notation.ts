/**
 * The notation in which kinds are described. A field is one line: its presence, protobuf number, type and the sentence
 * for `kubectl explain`. A type may bring rules: `atomic(STRING)` is a list that is owned and replaced as a whole.
 */
import type { FieldSchema, FieldType, MessageSchema, Presence } from "../schema.ts";

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

/** A type with rules for fields that have it: how they are merged, their values, their default, the type's name in Go. */
type RuledType = Omit<FieldSchema, "number" | "presence" | "required" | "description">;

/** Describes a list whose elements have one type. */
export function list(of: FieldType): FieldType {
  return { kind: "list", of };
}

export function map(of: FieldType): FieldType {
  return { kind: "map", of };
}

/** Describes a list that is owned and replaced as a whole. */
export function atomic(of: FieldType): RuledType {
  return { type: list(of), listType: "atomic" };
}

/** Describes a list of distinct values that are owned one by one. */
export function set(of: FieldType): RuledType {
  return { type: list(of), listType: "set" };
}

/** Describes a list of messages that server-side apply identifies by their keys. */
export function keyedBy(keys: readonly string[], of: FieldType): RuledType {
  return { type: list(of), listType: "map", listMapKeys: keys };
}

/** Describes a list of messages with a key by which strategic merge patches and server-side apply merge them. */
export function mergedBy(key: string, of: FieldType): RuledType {
  return { ...keyedBy([key], of), patchStrategy: "merge", patchMergeKey: key };
}

/** Describes a type that has a name in Go, such as `v1.KeyUsage`, which decoding errors print. */
export function named(goType: string, type: FieldType | RuledType = STRING): RuledType {
  return { ...toRuledType(type), goType };
}

/** Describes a string, or strings, whose values OpenAPI lists. */
export function enumerated(values: readonly string[], type: FieldType | RuledType = STRING): RuledType {
  return { ...toRuledType(type), enum: values };
}

export const UID: RuledType = named("types.UID");
/** Further attributes of a user. */
export const EXTRA: RuledType = named("map[string]v1.ExtraValue", map(list(STRING)));
/** A set of strings to which strategic merge patches add. */
export const MERGED_SET: RuledType = { ...set(STRING), patchStrategy: "merge" };

export type Field<P extends Presence> = FieldSchema & { readonly presence: P };

/** A line of a description. The sentence is missing only in messages that no OpenAPI document contains. */
type DescribeField<P extends Presence> = (
  number: number,
  type: FieldType | RuledType,
  description?: string,
) => Field<P>;

/** A field that is written even when it is zero. */
export const always: DescribeField<"always"> = field("always");

/** A field that is written even when it is zero, and that OpenAPI lists as required. */
export const required: DescribeField<"always"> = field("always", { required: true });

/** A field that JSON leaves out when it is zero. */
export const omitempty: DescribeField<"omitempty"> = field("omitempty");

/** A field that is a pointer in Go: absent and zero differ. */
export const optional: DescribeField<"optional"> = field("optional");

/** A field that is a pointer in Go without `omitempty`: JSON has `null` when it is absent. */
export const nullable: DescribeField<"nullable"> = field("nullable");

function field<P extends Presence>(presence: P, more: Pick<FieldSchema, "required"> = {}): DescribeField<P> {
  return (number, type, description) => ({
    number,
    ...toRuledType(type),
    presence,
    ...more,
    description,
  });
}

/**
 * The lines of a message: exactly one for each property of its TypeScript type, which is optional when JSON may lack it.
 * Without a type, any lines are allowed.
 */
export type Fields<T> = [keyof T] extends [never] ? Readonly<Record<string, FieldSchema>>
  : { readonly [K in keyof T]-?: Field<PresenceOf<T, K>> };

/** The presences that suit a property. One that is optional and may be null is optional for writers only. */
type PresenceOf<T, K extends keyof T> = Partial<Pick<T, K>> extends Pick<T, K>
  ? null extends T[K] ? Presence : "omitempty" | "optional"
  : "always" | "nullable";

/** Describes a message by its name in Go, a sentence, and its fields in the order of Go's JSON. */
type DescribeMessage = <T extends object = object>(
  name: string,
  description: string,
  fields: Fields<NoInfer<T>>,
) => MessageSchema<T>;

/** The functions that describe the messages of one Go package. */
export interface MessageNotation {
  readonly message: DescribeMessage;
  /** A message that is owned and replaced as a whole wherever it is used. */
  readonly atomicMessage: DescribeMessage;
}

/** Returns the functions for the messages of a Go package, which is the prefix of their OpenAPI names. */
export function describeMessages(packageName: string): MessageNotation {
  const message: DescribeMessage = (name, description, fields) => ({
    kind: "message",
    name: `${packageName}.${name}`,
    description,
    fields,
  });
  return {
    message,
    atomicMessage: (name, description, fields) => ({ ...message(name, description, fields), mapType: "atomic" }),
  };
}

function toRuledType(type: FieldType | RuledType): RuledType {
  return "type" in type ? type : { type };
}
