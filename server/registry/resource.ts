/**
 * The description of a resource for the generic registry, and the columns that many resources share. A new resource is a
 * `Resource`, and one line in `resources.ts`.
 */
import type { FieldError } from "../../core/kube/status/field_error.ts";
import { type DeleteOptions, getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { StorageEvent, Write } from "../storage/storage.ts";
import { formatHumanDuration } from "../../core/lib/duration.ts";

/** A column of a Table (`meta/v1` TableColumnDefinition). */
export interface ColumnDefinition {
  readonly name: string;
  readonly type: "string" | "integer" | "date" | "boolean";
  /** `name` marks the column with the name of the object. */
  readonly format: "" | "name";
  readonly description: string;
  /** 0 is always shown, 1 with `-o wide`. */
  readonly priority: number;
}

/** A column and its cell: a value of the object, or the time since a moment (RFC 3339) in it. */
export type Column<T extends KubeObject = KubeObject> =
  & ColumnDefinition
  & ({ cell(object: T): Cell } | { since(object: T): string | null | undefined });

/** A cell of a Table. */
export type Cell = string | number | boolean;

/** The user and the time of a write. */
export interface WriteContext {
  readonly user: UserInfo;
  readonly now: Date;
}

/**
 * How an endpoint changes and checks objects. All functions get canonical objects, and all but `checkPermission` are
 * pure.
 */
export interface UpdateStrategy<T extends KubeObject = KubeObject> {
  /** Restores the fields that this endpoint may not change, and sets those of the server. */
  prepareForUpdate?(object: T, stored: T, context: WriteContext): T;
  /** Returns the faults of the new object outside of its metadata. */
  validateUpdate?(object: T, stored: T, context: WriteContext): readonly FieldError[];
  /** Returns the faults that only the authorizer can find. Called for an object without other faults. */
  checkPermission?(object: T, stored: T, user: UserInfo): Promise<readonly FieldError[]>;
  /** A changed object must also be valid as a new object, so its generateName is checked by the rules of the kind. */
  readonly checksGenerateName?: true;
  /** Dotted paths that this endpoint does not change, so a manager that writes here does not own them. */
  readonly resetFields?: readonly string[];
}

/** Creation and update of the main resource. Without functions, objects are stored as sent. */
export interface Strategy<T extends KubeObject = KubeObject> extends UpdateStrategy<T> {
  /** Fills in absent fields on every write, before admission. */
  applyDefaults?(object: T): T;
  prepareForCreate?(object: T, context: WriteContext): T;
  /** Does the slow part of `validateCreate` on another thread. */
  prepareValidation?(object: T): Promise<void>;
  validateCreate?(object: T): readonly FieldError[];
  /** Returns the faults of a new object that are reported before those of its metadata. */
  validateBeforeMetadata?(object: T): readonly FieldError[];
  /** The metadata of a new object is only checked against the rules of URL paths, after everything else. */
  readonly anyMetadata?: true;
  /** Returns the faults of the name of an object; `prefix` is true for a generateName. */
  validateName?(name: string, prefix: boolean, object: T): readonly string[];
  /** Returns warnings about an accepted object; `stored` is undefined for a new one. */
  warn?(object: T, stored: T | undefined): readonly string[];
  /** Finalizers without a domain may be unknown to Kubernetes, as for leases and events. */
  readonly anyFinalizer?: true;
  /** PUT of a missing object creates it. */
  readonly createOnUpdate?: true;
  /** PUT without a resourceVersion is refused. */
  readonly needsResourceVersion?: true;
}

/** A subresource of the same kind, such as `/status`. */
export interface Subresource<T extends KubeObject = KubeObject> extends UpdateStrategy<T> {
  readonly name: string;
  readonly verbs: readonly string[];
  /** Whether a GET may be answered with a Table. */
  readonly table: boolean;
}

/** Finds a subresource whose objects are stored. */
export function findSubresource(
  { resource, subresource }: { readonly resource: Resource; readonly subresource: string },
): Subresource | undefined {
  return resource.subresources?.find(({ name }) => name === subresource);
}

/** A subresource to which objects of another kind are posted. They are returned, not stored. */
export interface PostedSubresource {
  readonly name: string;
  readonly kind: Kind;
  /** Fills in absent fields of the posted object. */
  applyDefaults(object: KubeObject): KubeObject;
  /** Returns the answer to the posted object; throws StatusError. */
  answer(object: KubeObject, context: PostContext): Promise<KubeObject>;
}

/** The context of a posted object. */
export interface PostContext extends ReviewContext {
  /** The name of the object in the URL. */
  readonly name: string;
  /** Calls validating admission; throws StatusError 403. */
  validate(object: KubeObject): Promise<void>;
  warn(text: string): void;
}

/** The conversions between a version and the stored one. */
export interface Conversion<T extends KubeObject = KubeObject> {
  /** The stored kind, which messages about invalid objects contain. */
  readonly kind: Kind;
  toStored(object: T): KubeObject;
  fromStored(object: KubeObject): T;
}

/** The part of a resource that describes how it is stored. */
export interface StoredResource<T extends KubeObject = KubeObject> {
  readonly kind: Kind;
  /**
   * The name in storage keys, if it is not `kind.plural`: upstream's may differ, and two kinds may share their objects.
   */
  readonly storageName?: string;
  /** The conversion to the stored version, if that is a different one. */
  readonly conversion?: Conversion<T>;
  /** The version in which kube-apiserver stores the objects, if it differs only in its name. */
  readonly storedVersion?: string;
}

/** A resource whose objects are stored. */
export interface Resource<T extends KubeObject = KubeObject> extends StoredResource<T> {
  readonly verbs: readonly string[];
  /** The resource is served, but not in any discovery document. */
  readonly isHidden?: true;
  /** There are no objects of this kind here; see `absent_kinds.ts`. */
  readonly isAbsent?: true;
  readonly columns: readonly Column<T>[];
  /** Field selectors in addition to `metadata.name` and (namespaced kinds) `metadata.namespace`. */
  readonly selectableFields?: readonly string[];
  /** The kind is namespaced, but upstream does not select by `metadata.namespace`. */
  readonly notSelectableByNamespace?: true;
  /** The value of one selectable field, empty when absent. */
  selectField?(object: T, field: string): string;
  readonly strategy: Strategy<T>;
  readonly subresources?: readonly Subresource<T>[];
  /** The subresources to which objects of other kinds are posted. */
  readonly postedSubresources?: readonly PostedSubresource[];
  /**
   * kube-apiserver has no watch cache for the resource, so lists at version 0 have pages too, and continue tokens have
   * a different form.
   */
  readonly uncached?: true;
  /** An asynchronous check before the validation of each create and update; it throws a StatusError to refuse. */
  guard?(object: T, stored: T | undefined, request: GuardedRequest): Promise<void>;
  /**
   * Lets a POST replace an existing object of the same name instead of being refused. Returns the object to store. The
   * new object keeps the uid and the creation time of the stored one.
   */
  replace?(object: T, stored: T): T;
  /** How the deletion differs from that of other resources. */
  readonly deletion?: DeletionRules<T>;
  /**
   * Makes a prepared write of an object together with others that must take effect at the same time, and returns its
   * change. The default is one transaction of the storage.
   */
  readonly commit?: ((write: Write, context: CommitContext) => Promise<StorageEvent>) | undefined;
}

/** The context of a prepared write. */
export interface CommitContext {
  readonly subresource: string;
  readonly user: UserInfo;
  /** The address of the client; undefined for a client in the server's process. */
  readonly address: string | undefined;
  /** The User-Agent header; empty when absent. */
  readonly userAgent: string;
  readonly now: Date;
  /** The object that the write replaces or deletes; undefined for a creation. */
  readonly stored: KubeObject | undefined;
  /** Writes of the same transaction that admission has added. */
  readonly others: readonly Write[];
}

/** The user and the name of a guarded request; a POST has no name. */
export interface GuardedRequest {
  readonly user: UserInfo;
  readonly name: string;
}

/** A review: a kind whose objects are posted and returned, but never stored. */
export interface Review {
  readonly kind: Kind;
  /** The largest body; by default the limit of all requests. */
  readonly maxBodyBytes?: number;
  /** Checks whether to read the request of a client at an address. Throws StatusError to refuse. */
  admit?(address: string): void;
  /** Returns the posted object with its status filled in; throws StatusError. */
  answer(object: KubeObject, context: ReviewContext): Promise<KubeObject>;
}

/** The context of a review. */
export interface ReviewContext {
  readonly user: UserInfo;
  readonly namespace: string;
  readonly now: Date;
  /** The address of the client; undefined for a client in the server's process. */
  readonly address: string | undefined;
  /** Whether the request must not store anything. */
  readonly isDryRun: boolean;
  /** Adds an annotation to the audit event of the request. */
  annotate(key: string, value: string): void;
}

/** How the deletion of a resource differs from that of others. */
export interface DeletionRules<T extends KubeObject = KubeObject> {
  /** The response is the deleted object (`ReturnDeletedObject`), not a Status. */
  readonly returnsObject?: true;
  /** The garbage collector does not process the resource, so policies are ignored (`rest.Unsupported`). */
  readonly withoutPolicy?: true;
  /** Objects that the store cannot read cannot be deleted, because kube-apiserver wraps the store of this resource. */
  readonly withoutUnsafe?: true;
  /** Handles a deletion before the usual steps. */
  begin?(object: T, request: DeletionRequest): Beginning<T>;
}

/** The options and the time of a deletion. */
export interface DeletionRequest {
  readonly options: DeleteOptions;
  readonly now: Date;
}

/** The result of a resource's own first step in a deletion. */
export type Beginning<T extends KubeObject = KubeObject> =
  /** The state is stored, and the object waits for its finalizers. */
  | { readonly kind: "mark"; readonly object: T }
  /** The object is already waiting: admission is skipped, and nothing is written. */
  | { readonly kind: "waiting" }
  /** The usual deletion of the object continues. */
  | { readonly kind: "usual" };

/** The usual verbs of a stored resource, in discovery order. */
export const STANDARD_VERBS: readonly string[] = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
];

/** The verbs of a resource that only the server writes. */
export const READ_VERBS: readonly string[] = ["get", "list", "watch"];

/** The verbs of `/status` and similar subresources. */
export const SUBRESOURCE_VERBS: readonly string[] = ["get", "patch", "update"];

export const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  priority: 0,
  description: "The name of the object, unique in its scope.",
  cell: getName,
};

/** The column that shows the time since creation. */
export const ageColumn: Column = sinceColumn(
  "Age",
  "Time since the object was created.",
  (object) => object.metadata.creationTimestamp,
);

/** Go's zero time, which stands for a missing time. */
const ZERO_TIME = "0001-01-01T00:00:00Z";

/** When the object was created, as RBAC kinds show it. */
export const createdAtColumn: Column = {
  name: "Created At",
  type: "date",
  format: "",
  priority: 0,
  description: "When the object was created.",
  cell: (object) => object.metadata.creationTimestamp ?? ZERO_TIME,
};

/** Creates a column of texts or counts, which clients show as text. */
export function textColumn<T extends KubeObject>(
  name: string,
  description: string,
  cell: (object: T) => Cell,
  priority = 0,
): Column<T> {
  return { name, type: "string", format: "", priority, description, cell };
}

/** Creates a column that shows the time since a moment (RFC 3339) of the object. */
export function sinceColumn<T extends KubeObject>(
  name: string,
  description: string,
  since: (object: T) => string | null | undefined,
  priority = 0,
): Column<T> {
  return { name, type: "string", format: "", priority, description, since };
}

export function renderCell<T extends KubeObject>(column: Column<T>, object: T, now: Date): Cell {
  return "since" in column ? formatAge(parseMoment(column.since(object)), now) : column.cell(object);
}

/** Parses an RFC 3339 time to milliseconds since 1970; undefined when there is none. */
export function parseMoment(time: string | null | undefined): number | undefined {
  return time === undefined || time === null ? undefined : Date.parse(time);
}

/** Formats the time since a moment as tables show it; `<unknown>` without one. */
export function formatAge(moment: number | undefined, now: Date): string {
  return moment === undefined ? "<unknown>" : formatHumanDuration(now.getTime() - moment);
}
