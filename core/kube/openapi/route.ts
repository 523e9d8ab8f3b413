/** One operation, in the words of neither version of OpenAPI, and how kube-apiserver names operations. */
import type { Parameter } from "./parameters.ts";
import { deleteOptionsSchema, getListSchema, statusSchema, watchEventSchema } from "../kinds/mod.ts";
import type { Kind, MessageSchema } from "../schema.ts";

/** One method of one path. */
export interface Route {
  /** With `{name}` and `{namespace}`. */
  readonly path: string;
  readonly method: "get" | "put" | "post" | "delete" | "patch";
  readonly operationId: string;
  readonly tag: string;
  readonly description: string;
  /** What the authorizer would call it; absent for discovery. */
  readonly action?: string;
  readonly kind?: GroupVersionKind;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly type: WireType; readonly required: boolean };
  readonly consumes: readonly string[];
  readonly produces: readonly string[];
  /** Answers by HTTP code, beside 401. */
  readonly answers: Readonly<Record<number, WireType>>;
}

/** In the order in which kube-apiserver names them. */
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

/** With a capital first letter. */
export function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** A message as the body or answer of an operation. */
export interface WireType {
  readonly message: MessageSchema;
  /** Kinds under which clients know the message; none for plain messages. */
  readonly identities: readonly GroupVersionKind[];
  /** A name that every group and version knows the message by, such as `DeleteOptions`. */
  readonly everywhere?: string;
  /** It carries `kind` and `apiVersion`. */
  readonly typed: boolean;
}

/** Group, version and kind as OpenAPI extensions carry them. */
export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Identity of a kind, or of its list. */
export function toGroupVersionKind({ group, version }: Kind, kind: string): GroupVersionKind {
  return { group, version, kind };
}

/** Objects of a kind. */
export function objectType(kind: Kind): WireType {
  return { message: kind.schema, identities: [toGroupVersionKind(kind, kind.kind)], typed: true };
}

/** Lists of a kind. */
export function listType(kind: Kind): WireType {
  return { message: getListSchema(kind), identities: [toGroupVersionKind(kind, kind.listKind)], typed: true };
}

/** A kind of `v1` that is no resource, such as `APIGroup`. */
export function metaType(message: MessageSchema, kind: string): WireType {
  return { message, identities: [{ group: "", version: "v1", kind }], typed: true };
}

/** Outcome of a deletion. */
export const STATUS_TYPE: WireType = metaType(statusSchema, "Status");
/** Body of a deletion. */
export const DELETE_OPTIONS_TYPE: WireType = {
  message: deleteOptionsSchema,
  identities: [],
  everywhere: "DeleteOptions",
  typed: true,
};
/** What a watch streams. */
export const WATCH_EVENT_TYPE: WireType = {
  message: watchEventSchema,
  identities: [],
  everywhere: "WatchEvent",
  typed: false,
};
/** The body of a patch: any object. */
export const PATCH_TYPE: WireType = {
  message: {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    description: "A patch in the form its content type names.",
    fields: {},
  },
  identities: [],
  typed: false,
};

/** A kind with its verbs (`get`, `list`, `create`, `update`, `patch`, `delete`, `deletecollection`, `watch`). */
export interface ServedKind {
  readonly kind: Kind;
  readonly verbs: readonly string[];
  readonly subresources: readonly ServedSubresource[];
  /** DELETE answers with the object instead of a Status. */
  readonly deleteAnswersObject?: boolean;
}

/** A subresource; its objects are of the resource's own kind unless told otherwise. */
export interface ServedSubresource {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly kind?: Kind;
}

/** A group (empty for core) and a version of it. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Every group and version that has a served kind, each once, in order. */
export function listGroupVersions(kinds: readonly ServedKind[]): readonly GroupVersion[] {
  const found = new Map<string, GroupVersion>();
  for (const { kind: { group, version } } of kinds) found.set(`${group}/${version}`, { group, version });
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, groupVersion]) => groupVersion);
}
