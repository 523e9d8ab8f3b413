/**
 * Go walks maps in no particular order, so that two faults of one map (labels, annotations, data) are listed in any
 * order, by the same kube-apiserver too. Faults of other places have an order, which stays.
 */
import { isRecord } from "../../../core/lib/record.ts";

interface Cause {
  readonly field: string;
  readonly message: string;
}

/** A Status whose faults about the same map stand in one order; any other body as it is. */
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
 * The errors of structured-merge-diff in one order. A field that the schema does not have ends the walk through its map
 * (`typed/validate.go`), so that chance decides which errors are listed beside it: those are not compared.
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

/** The field without the key in a map; the place in a list stays. */
function toMapPath({ field }: Cause): string {
  return field.replace(/\[(?!\d+\])[^\]]*\]/g, "");
}

function toText({ field, message }: Cause): string {
  return `${field}: ${message}`;
}

function isCause(value: unknown): value is Cause {
  return isRecord(value) && typeof value["field"] === "string" && typeof value["message"] === "string";
}
