/**
 * Operations with their types and parameters, grouped by path. They are independent of the version of OpenAPI, and named
 * as kube-apiserver names them.
 */
import { capitalize } from "../../lib/printable.ts";
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
  /** Absent where a request has no body or no media type. */
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

/** Returns `certificates` for `certificates.k8s.io`, `rbacAuthorization` for `rbac.authorization.k8s.io`, `core` for "". */
export function groupTag(group: string): string {
  if (group === "") return "core";
  const [first = "", ...rest] = group.replace(/\.k8s\.io$/, "").split(".");
  return `${first}${rest.map(capitalize).join("")}`;
}

/** A message that is the body or the answer of an operation. */
export interface WireType {
  readonly message: MessageSchema;
  /** The kinds by which clients know the message. */
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
    .message("Patch", "A patch in the format of its content type.", {}),
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

/** A parameter in the path, which is required, or in the query. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly type: "string" | "boolean" | "integer";
  readonly description: string;
}

function query(name: string, type: Parameter["type"], description: string): Parameter {
  return { name, in: "query", type, description };
}

export function nameParameter(kind: string): Parameter {
  return { name: "name", in: "path", type: "string", description: `Name of the ${kind}.` };
}

export const NAMESPACE_PARAMETER: Parameter = {
  name: "namespace",
  in: "path",
  type: "string",
  description: "Namespace of the object.",
};
export const PRETTY_PARAMETER: Parameter = query("pretty", "string", "True indents the answer.");

const DRY_RUN = query("dryRun", "string", "All: go through every stage but store nothing.");
const FIELD_VALIDATION = query(
  "fieldValidation",
  "string",
  "What to do about unknown and repeated fields: Ignore, Warn or Strict.",
);

/** The query parameters of POST and PUT. */
export const WRITE_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query("fieldManager", "string", "Name of the field manager; by default that of the program."),
  FIELD_VALIDATION,
];

export const PATCH_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query("fieldManager", "string", "Name of the field manager; by default that of the program. Apply requires it."),
  FIELD_VALIDATION,
  query("force", "boolean", "True takes fields over from other managers; apply only."),
];

export const DELETE_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query("gracePeriodSeconds", "integer", "Seconds to wait before the deletion; zero deletes at once."),
  query(
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "boolean",
    "Delete an object that cannot be read from the store.",
  ),
  query("orphanDependents", "boolean", "Older form of propagationPolicy."),
  query("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."),
];

/** The query parameters that select the objects of a list, a watch or the deletion of a collection. */
const SELECTION_PARAMETERS: readonly Parameter[] = [
  query("continue", "string", "Token of the next page."),
  query("fieldSelector", "string", "Restricts the list by fields."),
  query("labelSelector", "string", "Restricts the list by labels."),
  query("limit", "integer", "Greatest number of objects in one answer."),
  query("resourceVersion", "string", "Version from which to list or watch."),
  query("resourceVersionMatch", "string", "How resourceVersion is applied to lists."),
  query("sendInitialEvents", "boolean", "True starts a watch with the existing objects."),
  query("shardSelector", "string", "Restricts the list to one shard, if the server supports shards."),
  query("timeoutSeconds", "integer", "Seconds after which a list or watch ends."),
];

export const LIST_PARAMETERS: readonly Parameter[] = [
  query("allowWatchBookmarks", "boolean", "True requests bookmarks during a watch."),
  ...SELECTION_PARAMETERS,
  query("watch", "boolean", "True streams changes instead of a list."),
];

export const DELETE_COLLECTION_PARAMETERS: readonly Parameter[] = [...DELETE_PARAMETERS, ...SELECTION_PARAMETERS];

/** The descriptions of answers by HTTP status. */
export const ANSWERS: Readonly<Record<string, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  401: "Unauthorized",
};

/** One path with its operations and the parameters that they have in common. */
interface PathItem {
  readonly path: string;
  readonly routes: readonly Route[];
  readonly common: readonly Parameter[];
}

const METHODS: readonly Route["method"][] = ["get", "put", "post", "delete", "patch"];

/** Groups operations by path. Paths are sorted, and their operations have Go's order. */
export function createPathItems(routes: readonly Route[]): readonly PathItem[] {
  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.path, [...byPath.get(route.path) ?? [], route]);
  return [...byPath].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, own]) => ({
    path,
    routes: own.sort((a, b) => METHODS.indexOf(a.method) - METHODS.indexOf(b.method)),
    common: findCommonParameters(own),
  }));
}

/** Returns the parameters of an operation that are not common to its path. */
export function getOwnParameters(route: Route, common: readonly Parameter[]): readonly Parameter[] {
  return route.parameters.filter((parameter) => !common.some((shared) => isSame(shared, parameter))).sort(byName);
}

/** Compares two parameters by their names. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Finds the parameters that all operations have. They are the same if the name is; the last description counts. */
function findCommonParameters(routes: readonly Route[]): readonly Parameter[] {
  const last = routes.at(-1)!;
  return last.parameters.filter((parameter) =>
    routes.every((route) => route.parameters.some((other) => isSame(other, parameter)))
  ).sort(byName);
}

function isSame(a: Parameter, b: Parameter): boolean {
  return a.name === b.name && a.in === b.in;
}

/** Returns the label of kube-apiserver's documents: `1.37` for the git version `v1.37.2+tlsboot.0.1.0`. */
export function formatVersionLabel(gitVersion: string): string {
  return /^v?(\d+\.\d+)/.exec(gitVersion)?.[1] ?? gitVersion;
}
