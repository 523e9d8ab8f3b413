/** Query and path parameters of the operations; kubectl looks for `fieldValidation` and `dryRun` among them. */
import type { OpenApiObject } from "./schemas.ts";

function query(name: string, type: string, description: string): OpenApiObject {
  return { name, in: "query", description, schema: { type, uniqueItems: true } };
}

function path(name: string, description: string): OpenApiObject {
  return { name, in: "path", required: true, description, schema: { type: "string", uniqueItems: true } };
}

/** Name of the object. */
export const NAME_PARAMETER: OpenApiObject = path("name", "Name of the object.");
/** Namespace of the object. */
export const NAMESPACE_PARAMETER: OpenApiObject = path("namespace", "Namespace of the object.");
/** Indented output. */
export const PRETTY_PARAMETER: OpenApiObject = query("pretty", "string", "True indents the answer.");

const DRY_RUN = query("dryRun", "string", "All: go through every stage but store nothing.");
const FIELD_MANAGER = query("fieldManager", "string", "Who makes the change; by default the program's name.");
const FIELD_VALIDATION = query(
  "fieldValidation",
  "string",
  "What to do about unknown and repeated fields: Ignore, Warn or Strict.",
);

/** Of POST and PUT. */
export const CREATE_PARAMETERS: readonly OpenApiObject[] = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];

/** Of PATCH. */
export const PATCH_PARAMETERS: readonly OpenApiObject[] = [
  ...CREATE_PARAMETERS,
  query("force", "boolean", "True takes fields over from other managers; apply only."),
];

/** Of DELETE. */
export const DELETE_PARAMETERS: readonly OpenApiObject[] = [
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

/** Of lists and watches. */
export const LIST_PARAMETERS: readonly OpenApiObject[] = [
  query("allowWatchBookmarks", "boolean", "True asks for bookmarks during a watch."),
  query("continue", "string", "Token of the next page."),
  query("fieldSelector", "string", "Restricts the list by fields."),
  query("labelSelector", "string", "Restricts the list by labels."),
  query("limit", "integer", "Greatest number of objects in one answer."),
  query("resourceVersion", "string", "Version from which to list or watch."),
  query("resourceVersionMatch", "string", "How resourceVersion is applied to lists."),
  query("sendInitialEvents", "boolean", "True starts a watch with the objects that are there."),
  query("timeoutSeconds", "integer", "Seconds after which a list or watch ends."),
  query("watch", "boolean", "True streams changes instead of a list."),
];
