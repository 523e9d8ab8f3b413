/**
 * The metadata of every Kubernetes object (`meta/v1`). Objects in memory have the JSON shape, in canonical form: keys in
 * Go's order, bytes as base64, times as RFC 3339 text. Fields that Go always writes are present even when they are empty,
 * and fields that Go omits when empty are absent. `JSON.stringify` of a canonical object is what kube-apiserver sends.
 */

/** The namespace of the objects of the cluster itself, such as the Secrets of bootstrap tokens. */
export const SYSTEM_NAMESPACE = "kube-system";

/** The `metadata` of an object (`meta/v1` ObjectMeta). */
export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly selfLink?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  /** RFC 3339 text with second precision. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly ManagedFieldsEntry[];
}

/** A reference to an owner of an object. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** The fields of an object that one manager owns. */
export interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: string;
  readonly apiVersion?: string;
  readonly time?: string;
  readonly fieldsType?: string;
  /** The FieldsV1 tree as parsed JSON. */
  readonly fieldsV1?: unknown;
  readonly subresource?: string;
}

/** One observation about an object (`meta/v1` Condition); lists of them are keyed by `type`. */
export interface Condition {
  readonly type: string;
  /** One of `True`, `False` and `Unknown`. */
  readonly status: string;
  /** The `metadata.generation` of the object that was observed. */
  readonly observedGeneration?: number;
  /** RFC 3339; `null` when zero. */
  readonly lastTransitionTime: string | null;
  readonly reason: string;
  readonly message: string;
}

/** The `metadata` of a list (`meta/v1` ListMeta). */
export interface ListMeta {
  readonly selfLink?: string;
  readonly resourceVersion?: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** Any Kubernetes object. `kind` and `apiVersion` are set on single objects and absent in list items. */
export interface KubeObject {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata: ObjectMeta;
}

/** A list of objects of one kind. */
export interface KubeList<T extends KubeObject = KubeObject> {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata: ListMeta;
  readonly items: readonly T[];
}

/** The answer to a request that failed, or to a deletion (`meta/v1` Status). */
export interface Status {
  readonly kind?: "Status";
  readonly apiVersion?: "v1";
  readonly metadata: ListMeta;
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** The object of a Status, and the causes. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** One of the causes that a Status lists. */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

/** The options of a request that deletes objects (`meta/v1` DeleteOptions). */
export interface DeleteOptions {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly orphanDependents?: boolean;
  readonly propagationPolicy?: string;
  readonly dryRun?: readonly string[];
  readonly ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
}

/** Selects objects by their labels (`meta/v1` LabelSelector). */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly SelectorRequirement[];
}

/** One requirement of a label or field selector. */
export interface SelectorRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** Returns the name of an object, or the empty string if it has none yet. */
export function getName(object: KubeObject): string {
  return object.metadata.name ?? "";
}

/** Returns the creation time of an object in milliseconds, or 0 if the API has not stored it. */
export function getCreationMs({ metadata }: KubeObject): number {
  return Date.parse(metadata.creationTimestamp ?? "") || 0;
}

/** Returns the key that identifies an object within its kind: namespace, slash and name. */
export function toObjectKey({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name ?? ""}`;
}

/** Formatted times by seconds since 1970, because one write formats the same few times repeatedly. */
const timeTexts = new Map<number, string>();
const MAX_TIME_TEXTS = 256;

/** Formats a time as `metav1.Time` is written: RFC 3339 in UTC with second precision. */
export function formatTime(date: Date): string {
  const second = Math.floor(date.getTime() / 1000);
  let text = timeTexts.get(second);
  if (text === undefined) {
    text = `${date.toISOString().slice(0, 19)}Z`;
    if (timeTexts.size === MAX_TIME_TEXTS) timeTexts.clear();
    timeTexts.set(second, text);
  }
  return text;
}

/** Formats a time as `metav1.MicroTime` is written: RFC 3339 in UTC with microseconds. */
export function formatMicroTime(date: Date): string {
  return `${date.toISOString().slice(0, 23)}000Z`;
}

/** An object without duplicate owner references, and the uids of the removed ones. */
interface DistinctOwners<T extends KubeObject> {
  readonly object: T;
  /** The uids of the removed references, in order. */
  readonly duplicates: readonly string[];
}

/** Removes the owner references that repeat an earlier one in every field. */
export function withDistinctOwners<T extends KubeObject>(object: T): DistinctOwners<T> {
  const references = object.metadata.ownerReferences ?? [];
  if (references.length < 2) return { object, duplicates: [] };
  const kept: OwnerReference[] = [];
  const duplicates: string[] = [];
  const seen = new Set<string>();
  for (const reference of references) {
    const identity = formatIdentity(reference);
    if (seen.has(identity)) duplicates.push(reference.uid);
    else kept.push(reference);
    seen.add(identity);
  }
  if (duplicates.length === 0) return { object, duplicates };
  return { object: { ...object, metadata: { ...object.metadata, ownerReferences: kept } }, duplicates };
}

/** Formats the warning about duplicate owner references. A patch is only checked after mutating admission, which its warning mentions. */
export function duplicateOwnersWarning(duplicates: readonly string[], afterAdmission: boolean): string {
  const when = afterAdmission ? " after mutating admission happens" : "";
  return `.metadata.ownerReferences contains duplicate entries${when}; API server dedups owner references in 1.20+, ` +
    "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: " +
    duplicates.join(", ");
}

function formatIdentity({ apiVersion, kind, name, uid, controller, blockOwnerDeletion }: OwnerReference): string {
  return JSON.stringify([uid, apiVersion, kind, name, controller ?? null, blockOwnerDeletion ?? null]);
}
