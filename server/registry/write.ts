/** Helpers that creation and update share: editing of metadata, warnings and refusals. */
import { type FieldError, selectReportedErrors } from "../../core/kube/field_error.ts";
import type { KubeObject, ObjectMeta } from "../../core/kube/meta.ts";
import { getName } from "../../core/kube/meta.ts";
import { genericServerError, invalidObject } from "../../core/kube/status.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { isUint64, parseUintText } from "./read.ts";
import type { Target } from "./registry.ts";
import type { Resource } from "./resource.ts";

/** Keys of ObjectMeta in Go's order, so that edited metadata stays canonical. */
const META_ORDER: readonly (keyof ObjectMeta)[] = [
  "name",
  "generateName",
  "namespace",
  "selfLink",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "labels",
  "annotations",
  "ownerReferences",
  "finalizers",
  "managedFields",
];

/** Values to set in metadata; `undefined` removes a key. */
export type MetaEdit = { readonly [K in keyof ObjectMeta]?: ObjectMeta[K] | undefined };

/** Copies a canonical object with some metadata replaced; the copy is canonical too. */
export function withMeta<T extends KubeObject>(object: T, edit: MetaEdit): T {
  return { ...object, metadata: editInPlace(object.metadata, edit) ?? editInOrder(object.metadata, edit) };
}

/** Undefined when a key comes or goes. Where none does, each has its place: ordering them costs several times as much. */
function editInPlace(metadata: ObjectMeta, edit: MetaEdit): ObjectMeta | undefined {
  const edited: Record<string, unknown> = { ...metadata };
  for (const [key, value] of Object.entries(edit)) {
    if (key in edited !== (value !== undefined)) return undefined;
    if (value !== undefined) edited[key] = value;
  }
  return edited as ObjectMeta;
}

function editInOrder(metadata: ObjectMeta, edit: MetaEdit): ObjectMeta {
  const merged: Record<string, unknown> = {};
  for (const key of META_ORDER) {
    const value = key in edit ? edit[key] : metadata[key];
    if (value !== undefined) merged[key] = value;
  }
  return merged as ObjectMeta;
}

/** Sends warnings about an accepted object to the client. */
export function sendWarnings(target: Target, object: KubeObject, stored: KubeObject | undefined): void {
  if (target.onWarning === undefined || target.subresource !== "") return;
  for (const text of target.resource.strategy.warn?.(object, stored) ?? []) target.onWarning(text);
}

/** Throws StatusError 500 for a version that is not a number (`storage/api_object_versioner.go`, ObjectResourceVersion). */
export function assertVersionText({ metadata: { resourceVersion: sent = "" } }: KubeObject): void {
  if (sent !== "" && !isUint64(sent)) throw genericServerError(parseUintText(sent));
}

/** Returns the kind of upstream's registry, whichever version was requested. */
export function getInternalKind({ conversion, kind }: Resource): Kind {
  return conversion?.kind ?? kind;
}

/** Throws StatusError 422 when there is any fault; equal faults are reported once. */
export function refuseInvalid(target: Target, object: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  throw invalidObject(getInternalKind(target.resource), getName(object), selectReportedErrors(errors));
}
