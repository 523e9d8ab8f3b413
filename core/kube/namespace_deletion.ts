/**
 * The conditions of a namespace that is being deleted (`pkg/controller/namespace/deletion/status_condition_utils.go`). Each
 * of the five is `False` while there is no problem.
 */
import type { NamespaceCondition } from "./kinds/core_v1.ts";
import { formatTime } from "./meta.ts";

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
export interface EmptyingReport {
  /** The reason why the resources could not be discovered. */
  readonly discoveryFailure?: string;
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
  report: EmptyingReport,
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
function listFindings(report: EmptyingReport): readonly Finding[] {
  return [
    report.discoveryFailure === undefined
      ? well("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered")
      : ill("NamespaceDeletionDiscoveryFailure", "DiscoveryFailed", report.discoveryFailure),
    well(
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
    return well(type, "ContentDeleted", "All content successfully deleted, may be waiting on finalization");
  }
  const texts = [...failures].sort().join(", ");
  return ill(
    type,
    "ContentDeletionFailed",
    `Failed to delete all resource types, ${failures.length} remaining: ${texts}`,
  );
}

function contentFinding(remaining: readonly RemainingContent[]): Finding {
  const type = "NamespaceContentRemaining";
  if (remaining.length === 0) return well(type, "ContentRemoved", "All content successfully removed");
  const texts = remaining.map(({ resource, group, count }) => `${resource}.${group} has ${count} resource instances`);
  return ill(type, "SomeResourcesRemain", `Some resources are remaining: ${texts.sort().join(", ")}`);
}

function finalizersFinding(remaining: readonly RemainingContent[]): Finding {
  const type = "NamespaceFinalizersRemaining";
  const counts = new Map<string, number>();
  for (const finalizer of remaining.flatMap(({ finalizers }) => finalizers)) {
    counts.set(finalizer, (counts.get(finalizer) ?? 0) + 1);
  }
  if (counts.size === 0) return well(type, "ContentHasNoFinalizers", "All content-preserving finalizers finished");
  const texts = [...counts].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`);
  return ill(
    type,
    "SomeFinalizersRemain",
    `Some content in the namespace has finalizers remaining: ${texts.sort().join(", ")}`,
  );
}

function well(type: string, reason: string, message: string): Finding {
  return { type, status: "False", reason, message };
}

function ill(type: string, reason: string, message: string): Finding {
  return { type, status: "True", reason, message };
}

function toCondition(
  { type, status, reason, message }: Finding,
  lastTransitionTime: string | null,
): NamespaceCondition {
  return { type, status, lastTransitionTime, reason, message };
}
