/** What the server offers of a kind, as OpenAPI needs to know it. */
import type { Kind } from "../schema.ts";

/** A kind with its verbs (`get`, `list`, `create`, `update`, `patch`, `delete`, `deletecollection`, `watch`). */
export interface ServedKind {
  readonly kind: Kind;
  readonly verbs: readonly string[];
  readonly subresources: readonly ServedSubresource[];
  /** DELETE answers with the object instead of a Status. */
  readonly deleteAnswersObject?: boolean;
}

/** A subresource; its objects are of the resource's own kind unless told otherwise. */
export interface ServedSubresource {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly kind?: Kind;
}

/** A group (empty for core) and a version of it. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Every group and version that has a served kind, each once, in order. */
export function listGroupVersions(kinds: readonly ServedKind[]): readonly GroupVersion[] {
  const found = new Map<string, GroupVersion>();
  for (const { kind: { group, version } } of kinds) found.set(`${group}/${version}`, { group, version });
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, groupVersion]) => groupVersion);
}
