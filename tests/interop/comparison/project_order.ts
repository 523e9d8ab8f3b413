/**
 * Sorts errors about one map (labels, annotations, data). Go iterates over maps in random order, so even the same
 * kube-apiserver lists them in any order. Errors about other fields keep their order.
 */
import { isRecord } from "../../../core/lib/record.ts";

interface Cause {
  readonly field: string;
  readonly message: string;
}

/** Sorts the causes of a Status about the same map; any other body is returned unchanged. */
export function projectOrder(body: unknown): unknown {
  if (!isRecord(body) || typeof body["message"] !== "string") return body;
  const typed = /^(failed to create typed [^]*?, Kind=\w+\)): ([^]*)$/.exec(body["message"]);
  if (typed !== null) return { ...body, message: `${typed[1]}: ${sortTypedErrors(typed[2]!)}` };
  if (!isRecord(body["details"])) return body;
  const causes = body["details"]["causes"];
  if (!Array.isArray(causes) || !causes.every(isCause)) return body;
  const listed = causes.map(toText).join(", ");
  if (!body["message"].includes(listed)) return body;
  const sorted = sortNeighbours(causes);
  return {
    ...body,
    message: body["message"].replace(listed, () => sorted.map(toText).join(", ")),
    details: { ...body["details"], causes: sorted },
  };
}

/**
 * Sorts the errors of structured-merge-diff. An unknown field ends the iteration over its map (`typed/validate.go`), so
 * which other errors are listed is random, and they are not compared.
 */
function sortTypedErrors(errors: string): string {
  if (errors.includes("field not declared in schema")) return "field not declared in schema";
  return errors.split("\n").toSorted().join("\n");
}

/** Sorts each run of causes about one map. */
function sortNeighbours(causes: readonly Cause[]): readonly Cause[] {
  const runs: Cause[][] = [];
  for (const cause of causes) {
    const run = runs.at(-1);
    if (run?.[0] !== undefined && toMapPath(run[0]) === toMapPath(cause)) run.push(cause);
    else runs.push([cause]);
  }
  return runs.flatMap((run) => run.toSorted((a, b) => toText(a) < toText(b) ? -1 : 1));
}

/** Returns the field without the keys of maps; indexes of lists stay. */
function toMapPath({ field }: Cause): string {
  return field.replace(/\[(?!\d+\])[^\]]*\]/g, "");
}

function toText({ field, message }: Cause): string {
  return `${field}: ${message}`;
}

function isCause(value: unknown): value is Cause {
  return isRecord(value) && typeof value["field"] === "string" && typeof value["message"] === "string";
}
