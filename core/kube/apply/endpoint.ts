/** Describes an endpoint for field management: a kind's main resource or one of its subresources. */
import { createZeroMessage, getMessagePlan } from "../wire/message_plan.ts";
import { formatApiVersion, type Kind, type MessageSchema } from "../schema.ts";
import { type Atom, getAtom } from "./atom.ts";
import { createFieldSet, type FieldSet, type FieldSetBuilder, insertPath } from "./field_set.ts";
import { fieldElement } from "./path_element.ts";

/** A main resource or a subresource whose field managers are tracked. */
export interface ManagedEndpoint {
  readonly kind: Kind;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly atom: Atom;
  /** Fields that a write to this endpoint cannot own, because the strategy resets them; also `managedFields`. */
  readonly ignored: FieldSet;
}

/**
 * Creates the endpoint of a resource or a subresource.
 *
 * @param resetFields dotted paths such as `status.conditions` (upstream's `GetResetFields`)
 */
export function createManagedEndpoint(
  kind: Kind,
  subresource: string,
  resetFields: readonly string[],
): ManagedEndpoint {
  const ignored: FieldSetBuilder = new Map();
  for (const path of ["metadata.managedFields", ...resetFields]) insertPath(ignored, parsePath(path));
  return { kind, subresource, atom: getAtom(kind.schema), ignored };
}

/** Returns the API version in which an endpoint's managers write. */
export function getApiVersion(endpoint: ManagedEndpoint): string {
  return formatApiVersion(endpoint.kind);
}

const empties = new WeakMap<MessageSchema, Record<string, unknown>>();

/** Returns an object of a kind with nothing set, from which a creation starts. It must not be changed. */
export function getEmptyObject(schema: MessageSchema): Readonly<Record<string, unknown>> {
  let empty = empties.get(schema);
  if (empty === undefined) empties.set(schema, empty = createZeroMessage(getMessagePlan(schema)));
  return empty;
}

/** The fields that the server sets and no one owns (apimachinery `managedfields/internal/stripmeta.go`). */
export const SYSTEM_FIELDS: FieldSet = createFieldSet(
  parsePath("apiVersion"),
  parsePath("kind"),
  parsePath("metadata"),
  ...[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
  ].map((name) => parsePath(`metadata.${name}`)),
);

function parsePath(dotted: string): readonly string[] {
  return dotted.split(".").map(fieldElement);
}
