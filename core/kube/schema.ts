/**
 * The language in which a kind is described once. From one description follow JSON order and omission, strict
 * decoding, protobuf, OpenAPI, merge keys and defaulting, so that they cannot disagree.
 */
import type { KubeObject } from "./meta.ts";

/** What a field holds. In memory: bytes are base64 text, times RFC 3339 text, int64 a number. */
export type FieldType =
  | { readonly kind: "string" | "bytes" | "int32" | "int64" | "bool" | "time" | "microTime" }
  /**
   * Parsed JSON kept as it is, a protobuf message with the raw text in field 1: `FieldsV1`, or `RawExtension` where it
   * is an object of any kind.
   */
  | { readonly kind: "json"; readonly anyKind?: true }
  /** `resource.Quantity`: text in JSON, a message with the text in field 1. */
  | { readonly kind: "quantity" }
  | { readonly kind: "message"; readonly message: () => MessageSchema }
  /**
   * `wrapped`: protobuf puts the elements into a message of their own, as field 1 (Go's `Verbs`). Lists inside a map
   * always stand in such a message (`ExtraValue`).
   */
  | { readonly kind: "list"; readonly of: FieldType; readonly wrapped?: true }
  /** String keys. */
  | { readonly kind: "map"; readonly of: FieldType };

/**
 * When a field is written.
 * - `always`: in JSON even when zero (`""`, `0`, `null` for a nil list, map, bytes or time; messages as objects);
 *   in protobuf too, except nil lists, maps and bytes.
 * - `omitempty`: left out of JSON when zero; protobuf writes scalars, strings and messages always.
 * - `optional`: a Go pointer; absent and zero differ; left out of both when absent.
 */
export type Presence = "always" | "omitempty" | "optional";

/** How lists (and maps) merge: structured-merge-diff's list type and the strategic merge patch tags. */
export interface MergeRules {
  readonly listType?: "atomic" | "set" | "map";
  readonly listMapKeys?: readonly string[];
  readonly mapType?: "atomic" | "granular";
  readonly patchStrategy?: string;
  readonly patchMergeKey?: string;
}

/** One field of a message. */
export interface FieldSchema extends MergeRules {
  /** Protobuf number. */
  readonly number: number;
  readonly type: FieldType;
  readonly presence: Presence;
  /** One sentence for `kubectl explain`. */
  readonly description?: string;
  /** Listed under `required` in OpenAPI. */
  readonly required?: boolean;
  /** Values that OpenAPI names, of the text itself or of the texts in a list. */
  readonly enum?: readonly string[];
  /** OpenAPI default. */
  readonly default?: unknown;
  /** The Go type as decoding errors print it, where it is a named one, such as `[]v1.KeyUsage`. */
  readonly goType?: string;
}

/** A message: a kind or a part of one. Fields stand in the order of Go's JSON. `T` is the type of what is described. */
export interface MessageSchema<out T extends object = object> {
  /** The OpenAPI name, such as `io.k8s.api.certificates.v1.CertificateSigningRequestSpec`. */
  readonly name: string;
  readonly description?: string;
  /** `atomic` when the message is owned and replaced as a whole wherever it stands. */
  readonly mapType?: "atomic" | "granular";
  readonly fields: Readonly<Record<string, FieldSchema>>;
  /** Never there: it carries the type. */
  readonly __described?: T;
}

/** The description of an object, which has metadata. */
export type ObjectSchema = MessageSchema<KubeObject>;

/** A kind that is served or spoken: identity and description. */
export interface Kind {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** `<kind>List` unless told otherwise. */
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** `metadata` first; `kind` and `apiVersion` are not fields, the codecs add them. */
  readonly schema: ObjectSchema;
}

/** `v1` or `group/version`. */
export function formatApiVersion(kind: { readonly group: string; readonly version: string }): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

/** `plural` or `plural.group`, as it stands in Status messages. */
export function qualifiedResource(kind: { readonly group: string; readonly plural: string }): string {
  return kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** `Kind` or `Kind.group`, as it stands in messages about invalid objects. */
export function qualifiedKind(kind: { readonly group: string; readonly kind: string }): string {
  return kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
}

/** The URL path of a kind's collection; pass a namespace for a namespaced one, or none for all namespaces. */
export function collectionPath(kind: Kind, namespace = ""): string {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && namespace !== "" ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${scope}/${kind.plural}`;
}

/** The URL path of one object. */
export function objectPath(kind: Kind, name: string, namespace = ""): string {
  return `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
}
