/** Operations and their types, independent of the version of OpenAPI, named as kube-apiserver names them. */
import type { Parameter } from "./parameters.ts";
import { deleteOptionsSchema, statusSchema, watchEventSchema } from "../kinds/mod.ts";
import { describeMessages } from "../kinds/notation.ts";
import type { Kind, MessageSchema } from "../schema.ts";

/** An operation: one method of one path. */
export interface Route {
  /** The path with `{name}` and `{namespace}`. */
  readonly path: string;
  readonly method: "get" | "put" | "post" | "delete" | "patch";
  readonly operationId: string;
  readonly tag: string;
  readonly description: string;
  /** The value of `x-kubernetes-action`; absent for discovery. */
  readonly action?: string;
  readonly kind?: GroupVersionKind;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly type: WireType; readonly required: boolean };
  /** Absent where a request has no body and names no media type. */
  readonly consumes?: readonly string[];
  readonly produces: readonly string[];
  /** The types of the answers by HTTP status, without 401; `text` for a document without a schema. */
  readonly answers: Readonly<Record<number, WireType | "text">>;
}

/** The media types of objects, in kube-apiserver's order. */
export const OBJECT_TYPES: readonly string[] = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
];

/** `certificates` for `certificates.k8s.io`, `rbacAuthorization` for `rbac.authorization.k8s.io`, `core` for none. */
export function groupTag(group: string): string {
  if (group === "") return "core";
  const [first = "", ...rest] = group.replace(/\.k8s\.io$/, "").split(".");
  return `${first}${rest.map(capitalized).join("")}`;
}

/** Capitalizes the first letter of a text. */
export function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** A message that is the body or the answer of an operation. */
export interface WireType {
  readonly message: MessageSchema;
  /** The kinds under which clients know the message. */
  readonly identities: readonly GroupVersionKind[];
  /** The kind that the message has in every group and version, such as `DeleteOptions`. */
  readonly commonKind?: string;
  /** True if the message has `kind` and `apiVersion`. */
  readonly typed: boolean;
}

/** Group, version and kind as OpenAPI extensions have them. */
export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export function toGroupVersionKind({ group, version }: Kind, kind: string): GroupVersionKind {
  return { group, version, kind };
}

export function objectType(kind: Kind): WireType {
  return { message: kind.schema, identities: [toGroupVersionKind(kind, kind.kind)], typed: true };
}

export function listType(kind: Kind): WireType {
  return { message: kind.listSchema, identities: [toGroupVersionKind(kind, kind.listKind)], typed: true };
}

/** Describes a kind of `v1` that is not a resource, such as `APIGroup`. */
export function metaType(message: MessageSchema, kind: string): WireType {
  return { message, identities: [{ group: "", version: "v1", kind }], typed: true };
}

/** The type of the answer to a deletion. */
export const STATUS_TYPE: WireType = metaType(statusSchema, "Status");
/** The type of the body of a deletion. */
export const DELETE_OPTIONS_TYPE: WireType = {
  message: deleteOptionsSchema,
  identities: [],
  commonKind: "DeleteOptions",
  typed: true,
};
/** The type of the events that a watch streams. */
export const WATCH_EVENT_TYPE: WireType = {
  message: watchEventSchema,
  identities: [],
  commonKind: "WatchEvent",
  typed: false,
};
/** The type of the body of a patch, which is any object. */
export const PATCH_TYPE: WireType = {
  message: describeMessages("io.k8s.apimachinery.pkg.apis.meta.v1")
    .message("Patch", "A patch in the form its content type names.", {}),
  identities: [],
  typed: false,
};

/** A kind with its verbs (`get`, `list`, `create`, `update`, `patch`, `delete`, `deletecollection`, `watch`). */
export interface ServedKind {
  readonly kind: Kind;
  readonly verbs: readonly string[];
  readonly subresources: readonly ServedSubresource[];
  /** True if DELETE returns the object instead of a Status. */
  readonly deleteReturnsObject?: boolean;
}

/** A subresource. Without `kind`, its objects are of the resource's kind. */
export interface ServedSubresource {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly kind?: Kind;
}

/** A group, empty for core, and one of its versions. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Returns every group and version that has a served kind, each once and sorted. */
export function listGroupVersions(kinds: readonly ServedKind[]): readonly GroupVersion[] {
  const found = new Map<string, GroupVersion>();
  for (const { kind: { group, version } } of kinds) found.set(`${group}/${version}`, { group, version });
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, groupVersion]) => groupVersion);
}
