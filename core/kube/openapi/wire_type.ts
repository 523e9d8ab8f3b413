/** What operations take and answer: messages, with what clients know them by. */
import { deleteOptionsSchema, getListSchema, statusSchema, watchEventSchema } from "../kinds/mod.ts";
import type { Kind, MessageSchema } from "../schema.ts";

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
