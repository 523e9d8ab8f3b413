/**
 * The types with which each kind is described once. JSON order and omission, strict decoding, protobuf, OpenAPI, merge
 * keys and defaults are derived from that description, so that they cannot disagree.
 */
import type { KubeObject } from "./meta.ts";

/** The type of a field. In memory, bytes are base64 text, times RFC 3339 text, and int64 a number. */
export type FieldType =
  | { readonly kind: "string" | "bytes" | "int32" | "int64" | "bool" | "time" | "microTime" }
  /**
   * Any JSON value; in protobuf, a message with the JSON text in field 1. It is a `FieldsV1`, or with `anyKind` a
   * `RawExtension`, which holds an object of any kind.
   */
  | { readonly kind: "json"; readonly anyKind?: true }
  /** `resource.Quantity`: text in JSON, and in protobuf a message with the text in field 1. */
  | { readonly kind: "quantity" }
  /** `intstr.IntOrString`: a number of 32 bits or a text; in protobuf a message that also contains its type. */
  | { readonly kind: "intOrString" }
  | MessageSchema
  /**
   * With `wrapped`, protobuf has the elements in field 1 of a separate message (Go's `Verbs`). Lists inside a map always
   * have such a message (`ExtraValue`).
   */
  | { readonly kind: "list"; readonly of: FieldType; readonly wrapped?: true }
  /** A map whose keys are strings. */
  | { readonly kind: "map"; readonly of: FieldType };

/**
 * When a field is written.
 * - `always`: in JSON even when zero (`""`, `0`, `null` for a nil list, map, bytes or time; messages as objects);
 *   in protobuf too, except nil lists, maps and bytes.
 * - `omitempty`: left out of JSON when zero; protobuf writes scalars, strings and messages always.
 * - `optional`: a Go pointer; absent and zero differ; left out of both when absent.
 * - `nullable`: a Go pointer without `omitempty`; like `optional`, but `null` in JSON when absent.
 */
export type Presence = "always" | "omitempty" | "optional" | "nullable";

/** Reports whether a field is a pointer in Go, so that absent and zero differ. */
export function isPointer({ presence }: { readonly presence: Presence }): boolean {
  return presence === "optional" || presence === "nullable";
}

/** The rules for merging lists and maps: structured-merge-diff's types and the tags of strategic merge patch. */
export interface MergeRules {
  readonly listType?: "atomic" | "set" | "map";
  readonly listMapKeys?: readonly string[];
  readonly mapType?: "atomic" | "granular";
  readonly patchStrategy?: string;
  readonly patchMergeKey?: string;
}

/** The description of one field of a message. */
export interface FieldSchema extends MergeRules {
  /** The field number in protobuf. */
  readonly number: number;
  readonly type: FieldType;
  readonly presence: Presence;
  /** One sentence for `kubectl explain`. */
  readonly description?: string | undefined;
  /** Listed under `required` in OpenAPI. */
  readonly required?: boolean;
  /** The values that OpenAPI lists for the string, or for the strings in a list. */
  readonly enum?: readonly string[];
  /** The default value in OpenAPI. */
  readonly default?: unknown;
  /** The Go type as decoding errors print it, such as `[]v1.KeyUsage`, if it is a named type. */
  readonly goType?: string;
}

/** The description of a kind or a part of one. Its fields have the order of Go's JSON, and `T` is its TypeScript type. */
export interface MessageSchema<out T extends object = object> {
  readonly kind: "message";
  /** The OpenAPI name, such as `io.k8s.api.certificates.v1.CertificateSigningRequestSpec`. */
  readonly name: string;
  readonly description?: string;
  /** `atomic` when the message is owned and replaced as a whole wherever it is used. */
  readonly mapType?: "atomic" | "granular";
  readonly fields: Readonly<Record<string, FieldSchema>>;
  /** Never set; it carries the type. */
  readonly __described?: T;
}

/** The description of an object, which has metadata. */
export type ObjectSchema = MessageSchema<KubeObject>;

/** A kind that tlsboot knows: its names and its description. */
export interface Kind {
  /** The API group, empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Usually `<kind>List`; empty for kinds that have no list. */
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** `metadata` is the first field. `kind` and `apiVersion` are not fields; the codecs add them. */
  readonly schema: ObjectSchema;
  /** The description of a list of its objects. */
  readonly listSchema: MessageSchema;
}

/** Formats the `apiVersion` of a kind: `v1` or `group/version`. */
export function formatApiVersion(kind: { readonly group: string; readonly version: string }): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

/** Adds `apiVersion` and `kind` to an object, which items of a list do not have. */
export function withType<T extends object>(object: T, kind: Kind): T & { apiVersion: string; kind: string } {
  return { ...object, apiVersion: formatApiVersion(kind), kind: kind.kind };
}

/** Formats a resource as Status messages name it: `plural` or `plural.group`. */
export function formatQualifiedResource(kind: { readonly group: string; readonly plural: string }): string {
  return kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** Formats a kind as messages about invalid objects name it: `Kind` or `Kind.group`. */
export function formatQualifiedKind(kind: { readonly group: string; readonly kind: string }): string {
  return kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
}

/** Returns the URL path of a kind's collection in one namespace, or in all of them by default. */
export function formatCollectionPath(kind: Kind, namespace = ""): string {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && namespace !== "" ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${scope}/${kind.plural}`;
}

/** Returns the URL path of one object. */
export function formatObjectPath(kind: Kind, name: string, namespace = ""): string {
  return `${formatCollectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
}
