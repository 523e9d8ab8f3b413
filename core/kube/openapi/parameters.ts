/** The query and path parameters of operations. kubectl searches them for `fieldValidation` and `dryRun`. */

/** A parameter in the path, which is required, or in the query. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly type: "string" | "boolean" | "integer";
  readonly description: string;
}

function query(name: string, type: Parameter["type"], description: string): Parameter {
  return { name, in: "query", type, description };
}

export function nameParameter(kind: string): Parameter {
  return { name: "name", in: "path", type: "string", description: `Name of the ${kind}.` };
}

export const NAMESPACE_PARAMETER: Parameter = {
  name: "namespace",
  in: "path",
  type: "string",
  description: "Namespace of the object.",
};
export const PRETTY_PARAMETER: Parameter = query("pretty", "string", "True indents the answer.");

const DRY_RUN = query("dryRun", "string", "All: go through every stage but store nothing.");
const FIELD_VALIDATION = query(
  "fieldValidation",
  "string",
  "What to do about unknown and repeated fields: Ignore, Warn or Strict.",
);

/** The query parameters of POST and PUT. */
export const WRITE_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query("fieldManager", "string", "Who makes the change; by default the program's name."),
  FIELD_VALIDATION,
];

export const PATCH_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query("fieldManager", "string", "Who makes the change; by default the program's name. Apply requires it."),
  FIELD_VALIDATION,
  query("force", "boolean", "True takes fields over from other managers; apply only."),
];

export const DELETE_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query("gracePeriodSeconds", "integer", "Seconds to wait before the deletion; zero deletes at once."),
  query(
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "boolean",
    "Delete an object that cannot be read from the store.",
  ),
  query("orphanDependents", "boolean", "Older form of propagationPolicy."),
  query("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
];

/** The query parameters that select the objects of a list, a watch or the deletion of a collection. */
const SELECTION_PARAMETERS: readonly Parameter[] = [
  query("continue", "string", "Token of the next page."),
  query("fieldSelector", "string", "Restricts the list by fields."),
  query("labelSelector", "string", "Restricts the list by labels."),
  query("limit", "integer", "Greatest number of objects in one answer."),
  query("resourceVersion", "string", "Version from which to list or watch."),
  query("resourceVersionMatch", "string", "How resourceVersion is applied to lists."),
  query("sendInitialEvents", "boolean", "True starts a watch with the objects that are there."),
  query("shardSelector", "string", "Restricts the list to one shard; where the server knows shards."),
  query("timeoutSeconds", "integer", "Seconds after which a list or watch ends."),
];

export const LIST_PARAMETERS: readonly Parameter[] = [
  query("allowWatchBookmarks", "boolean", "True requests bookmarks during a watch."),
  ...SELECTION_PARAMETERS,
  query("watch", "boolean", "True streams changes instead of a list."),
];

export const DELETE_COLLECTION_PARAMETERS: readonly Parameter[] = [...DELETE_PARAMETERS, ...SELECTION_PARAMETERS];
