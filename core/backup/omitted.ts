/** What of an etcd is not in a backup: objects of kinds that are not served here, told by where they are kept. */
import { err, ok, type Result } from "../lib/result.ts";

/** So many objects of one resource. */
export interface OmittedResource {
  /** As it is called in keys: `pods`, `example.com/widgets`. */
  readonly resource: string;
  readonly objects: number;
}

/** Counts keys by resource, in the order of their names. */
export function countOmitted(keys: Iterable<string>): readonly OmittedResource[] {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const resource = parseResource(key);
    counts.set(resource, (counts.get(resource) ?? 0) + 1);
  }
  return [...counts].map(([resource, objects]) => ({ resource, objects }))
    .sort((a, b) => a.resource < b.resource ? -1 : 1);
}

/** In words: `pods (12), example.com/widgets (1)`. */
export function describeOmitted(all: readonly OmittedResource[]): string {
  return all.map(({ resource, objects }) => `${resource} (${objects})`).join(", ");
}

/** Reads what a manifest says of it. */
export function parseOmitted(value: unknown): Result<readonly OmittedResource[], string> {
  if (value === undefined) return ok([]);
  const isList = Array.isArray(value) && value.every(isOmittedResource);
  return isList ? ok(value) : err("what it leaves out is not complete");
}

function isOmittedResource(value: unknown): value is OmittedResource {
  if (typeof value !== "object" || value === null) return false;
  const { resource, objects } = value as Readonly<Record<string, unknown>>;
  return typeof resource === "string" && Number.isSafeInteger(objects);
}

/** `/registry/pods/…`, but below a group `/registry/example.com/widgets/…`. */
function parseResource(key: string): string {
  const [, , first = "", second = ""] = key.split("/");
  return first.includes(".") && second !== "" ? `${first}/${second}` : first;
}
