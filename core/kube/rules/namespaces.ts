/**
 * The rules of Namespaces (`pkg/registry/core/namespace/strategy.go`, `pkg/apis/core/validation`,
 * `pkg/apis/core/v1/defaults.go`).
 */
import type { Namespace } from "../kinds/core_v1.ts";
import { checkEach, type FieldError, invalid } from "../status/field_error.ts";
import { qualifiedNameErrors } from "../names.ts";
import { sortMembers } from "../../lib/byte_order.ts";
import { omitUndefined } from "../../lib/record.ts";
import { validateStandardFinalizer } from "./object_meta.ts";

/** Every namespace carries its own name as a label. */
const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";
/** The finalizer that keeps a namespace until its content has been deleted. */
export const NAMESPACE_FINALIZER = "kubernetes";

/** The label with the name, once there is one, and the phase `Active`. */
export function defaultNamespace(namespace: Namespace): Namespace {
  const { phase = "", ...status } = namespace.status;
  return { ...withNameLabel(namespace), status: { phase: phase === "" ? "Active" : phase, ...status } };
}

/** On creation the finalizer is added, the status is reset, and a generated name gets its label. */
export function prepareNamespaceForCreate(namespace: Namespace): Namespace {
  const finalizers = namespace.spec.finalizers ?? [];
  const complete = finalizers.includes(NAMESPACE_FINALIZER) ? finalizers : [...finalizers, NAMESPACE_FINALIZER];
  return { ...withNameLabel(namespace), spec: { finalizers: complete }, status: { phase: "Active" } };
}

/** Finalizers change through `/finalize` only, the status through `/status` only. */
export function prepareNamespaceForUpdate(namespace: Namespace, old: Namespace): Namespace {
  return { ...withNameLabel(namespace), spec: old.spec, status: old.status };
}

/** Validates a new or a changed Namespace apart from its metadata. */
export function validateNamespace(namespace: Namespace): FieldError[] {
  return validateFinalizers(namespace, () => "spec.finalizers");
}

/** Faults of `/status`: the phase follows the deletion. */
export function validateNamespaceStatusUpdate(namespace: Namespace): FieldError[] {
  const phase = namespace.status.phase ?? "";
  const isDeleted = namespace.metadata.deletionTimestamp !== undefined;
  if (phase === (isDeleted ? "Terminating" : "Active")) return [];
  const detail = isDeleted
    ? "may only be 'Terminating' if `deletionTimestamp` is not empty"
    : "may only be 'Active' if `deletionTimestamp` is empty";
  return [invalid("status.Phase", phase, detail)];
}

/** Validates a Namespace that was written through `/finalize`. */
export function validateNamespaceFinalizeUpdate(namespace: Namespace): FieldError[] {
  return validateFinalizers(namespace, (index) => `spec.finalizers[${index}]`);
}

function withNameLabel(namespace: Namespace): Namespace {
  const { metadata } = namespace;
  const { name = "" } = metadata;
  if (name === "" || metadata.labels?.[NAMESPACE_NAME_LABEL] === name) return namespace;
  const { annotations, ownerReferences, finalizers, managedFields, ...before } = metadata;
  return {
    ...namespace,
    // In Go's order, the labels come between these.
    metadata: {
      ...before,
      labels: sortMembers({ ...metadata.labels, [NAMESPACE_NAME_LABEL]: name }),
      ...omitUndefined({ annotations, ownerReferences, finalizers, managedFields }),
    },
  };
}

function validateFinalizers(namespace: Namespace, path: (index: number) => string): FieldError[] {
  return checkEach(namespace.spec.finalizers ?? [], (name, index) => {
    const errors = qualifiedNameErrors(name).map((text) => invalid(path(index), name, text));
    return [...errors, ...validateStandardFinalizer(name, path(index))];
  });
}
