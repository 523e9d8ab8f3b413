/**
 * Namespaces: their rules (`pkg/registry/core/namespace/strategy.go`, `pkg/apis/core/validation`,
 * `pkg/apis/core/v1/defaults.go`), their conditions during deletion
 * (`pkg/controller/namespace/deletion/status_condition_utils.go`), and the ConfigMap with the CA bundle for their programs
 * (`pkg/controller/certificates/rootcacertpublisher`).
 */
import type { ConfigMap, Namespace, NamespaceCondition } from "../kinds/core_v1.ts";
import { checkEach, type FieldError, invalid } from "../status/field_error.ts";
import { qualifiedNameErrors } from "../names.ts";
import { sortMembers } from "../../lib/go_text.ts";
import { omitUndefined } from "../../lib/record.ts";
import { validateStandardFinalizer } from "./meta_v1.ts";
import { formatTime } from "../meta.ts";

/** The label with the name of a namespace. */
const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";
/** The finalizer that keeps a namespace until its content has been deleted. */
export const NAMESPACE_FINALIZER = "kubernetes";

/** Fills defaults: the label with the name, if there is a name yet, and the phase `Active`. */
export function defaultNamespace(namespace: Namespace): Namespace {
  const { phase = "", ...status } = namespace.status;
  return { ...withNameLabel(namespace), status: { phase: phase === "" ? "Active" : phase, ...status } };
}

/** Adds the finalizer and the label with the name, which may be a generated one, and resets the status. */
export function prepareNamespaceForCreate(namespace: Namespace): Namespace {
  const finalizers = namespace.spec.finalizers ?? [];
  const complete = finalizers.includes(NAMESPACE_FINALIZER) ? finalizers : [...finalizers, NAMESPACE_FINALIZER];
  return { ...withNameLabel(namespace), spec: { finalizers: complete }, status: { phase: "Active" } };
}

/** Keeps the stored spec and status: only `/finalize` changes finalizers, and only `/status` the status. */
export function prepareNamespaceForUpdate(namespace: Namespace, old: Namespace): Namespace {
  return { ...withNameLabel(namespace), spec: old.spec, status: old.status };
}

/** Validates a new or a changed Namespace apart from its metadata. */
export function validateNamespace(namespace: Namespace): FieldError[] {
  return validateFinalizers(namespace, () => "spec.finalizers");
}

/** Validates a Namespace that was written through `/status`: its phase depends on whether it is being deleted. */
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

/** The remaining objects of one resource in a namespace that is being deleted. */
export interface RemainingContent {
  readonly group: string;
  readonly resource: string;
  /** The number of objects, at least 1. */
  readonly count: number;
  /** The finalizers of the objects, each once per object that has it. */
  readonly finalizers: readonly string[];
}

/** The outcome of one attempt to delete the contents of a namespace. */
export interface DeletionReport {
  /** The reasons why objects of some resources could not be deleted. */
  readonly deletionFailures: readonly string[];
  readonly remaining: readonly RemainingContent[];
}

interface Finding {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

/** Updates the conditions after an attempt; undefined when they do not change. */
export function updateDeletionConditions(
  old: readonly NamespaceCondition[],
  report: DeletionReport,
  now: Date,
): readonly NamespaceCondition[] | undefined {
  const next = [...old];
  let isChanged = false;
  for (const finding of listFindings(report)) {
    const index = next.findIndex(({ type }) => type === finding.type);
    const before = next[index];
    if (before === undefined) {
      next.push(toCondition(finding, formatTime(now)));
    } else if (
      before.status !== finding.status || before.reason !== finding.reason || before.message !== finding.message
    ) {
      const since = before.status === finding.status ? before.lastTransitionTime ?? null : formatTime(now);
      next[index] = toCondition(finding, since);
    } else continue;
    isChanged = true;
  }
  return isChanged ? next : undefined;
}

/** Lists the findings in upstream's order of condition types. */
function listFindings(report: DeletionReport): readonly Finding[] {
  return [
    passed("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    passed(
      "NamespaceDeletionGroupVersionParsingFailure",
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ),
    deletionFinding(report.deletionFailures),
    contentFinding(report.remaining),
    finalizersFinding(report.remaining),
  ];
}

function deletionFinding(failures: readonly string[]): Finding {
  const type = "NamespaceDeletionContentFailure";
  if (failures.length === 0) {
    return passed(type, "ContentDeleted", "All content successfully deleted, may be waiting on finalization");
  }
  const texts = [...failures].sort().join(", ");
  return failed(
    type,
    "ContentDeletionFailed",
    `Failed to delete all resource types, ${failures.length} remaining: ${texts}`,
  );
}

function contentFinding(remaining: readonly RemainingContent[]): Finding {
  const type = "NamespaceContentRemaining";
  if (remaining.length === 0) return passed(type, "ContentRemoved", "All content successfully removed");
  const texts = remaining.map(({ resource, group, count }) => `${resource}.${group} has ${count} resource instances`);
  return failed(type, "SomeResourcesRemain", `Some resources are remaining: ${texts.sort().join(", ")}`);
}

function finalizersFinding(remaining: readonly RemainingContent[]): Finding {
  const type = "NamespaceFinalizersRemaining";
  const counts = new Map<string, number>();
  for (const finalizer of remaining.flatMap(({ finalizers }) => finalizers)) {
    counts.set(finalizer, (counts.get(finalizer) ?? 0) + 1);
  }
  if (counts.size === 0) return passed(type, "ContentHasNoFinalizers", "All content-preserving finalizers finished");
  const texts = [...counts].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`);
  return failed(
    type,
    "SomeFinalizersRemain",
    `Some content in the namespace has finalizers remaining: ${texts.sort().join(", ")}`,
  );
}

function passed(type: string, reason: string, message: string): Finding {
  return { type, status: "False", reason, message };
}

function failed(type: string, reason: string, message: string): Finding {
  return { type, status: "True", reason, message };
}

function toCondition(
  { type, status, reason, message }: Finding,
  lastTransitionTime: string | null,
): NamespaceCondition {
  return { type, status, lastTransitionTime, reason, message };
}

/** The name of the ConfigMap with the CA bundle in each namespace. */
export const ROOT_CA_NAME = "kube-root-ca.crt";

const DESCRIPTION_ANNOTATION = "kubernetes.io/description";
const DESCRIPTION =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the " +
  "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes " +
  "clusters.";

/** The action of the publisher on the ConfigMap of a namespace. */
type RootCaPlan =
  | { readonly kind: "none" }
  | { readonly kind: "create" | "update"; readonly configMap: ConfigMap };

/** Plans the ConfigMap, which must contain only the bundle and have a description. */
export function planRootCa(existing: ConfigMap | undefined, namespace: string, caPem: string): RootCaPlan {
  const data = { "ca.crt": caPem };
  const annotations = { [DESCRIPTION_ANNOTATION]: DESCRIPTION };
  if (existing === undefined) {
    return { kind: "create", configMap: { metadata: { name: ROOT_CA_NAME, namespace, annotations }, data } };
  }
  const entries = Object.entries(existing.data ?? {});
  const hasOnlyBundle = entries.length === 1 && existing.data?.["ca.crt"] === caPem;
  const isDescribed = (existing.metadata.annotations?.[DESCRIPTION_ANNOTATION] ?? "") !== "";
  if (hasOnlyBundle && isDescribed) return { kind: "none" };
  const { metadata } = existing;
  return {
    kind: "update",
    configMap: {
      ...existing,
      metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } },
      data,
    },
  };
}
