/** The objects of an etcd that a backup omits, because tlsboot does not serve their kinds. */
import { err, ok, type Result } from "../../core/lib/result.ts";

/** The number of omitted objects of one resource. */
export interface OmittedResource {
  /** The resource as in keys: `pods`, `example.com/widgets`. */
  readonly resource: string;
  readonly objects: number;
}

/** Counts keys by resource and sorts the resources by name. */
export function countOmitted(keys: Iterable<string>): readonly OmittedResource[] {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const resource = parseResource(key);
    counts.set(resource, (counts.get(resource) ?? 0) + 1);
  }
  return [...counts].map(([resource, objects]) => ({ resource, objects }))
    .sort((a, b) => a.resource < b.resource ? -1 : 1);
}

/** Formats the omitted resources: `pods (12), example.com/widgets (1)`. */
export function describeOmitted(all: readonly OmittedResource[]): string {
  return all.map(({ resource, objects }) => `${resource} (${objects})`).join(", ");
}

/** Parses the omitted resources in a manifest. */
export function parseOmitted(value: unknown): Result<readonly OmittedResource[], string> {
  if (value === undefined) return ok([]);
  const isList = Array.isArray(value) && value.every(isOmittedResource);
  return isList ? ok(value) : err("its list of omitted objects is not complete");
}

function isOmittedResource(value: unknown): value is OmittedResource {
  if (typeof value !== "object" || value === null) return false;
  const { resource, objects } = value as Readonly<Record<string, unknown>>;
  return typeof resource === "string" && Number.isSafeInteger(objects);
}

/** Parses the resource of a key: `/registry/pods/…`, or with a group `/registry/example.com/widgets/…`. */
function parseResource(key: string): string {
  const [, , first = "", second = ""] = key.split("/");
  return first.includes(".") && second !== "" ? `${first}/${second}` : first;
}
