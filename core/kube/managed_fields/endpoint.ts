/** What field management must know of an endpoint: a kind's main resource or one of its subresources. */
import { createZeroMessage, getMessagePlan } from "../codec/message_plan.ts";
import { formatApiVersion, type Kind, type MessageSchema } from "../schema.ts";
import { type Atom, getAtom } from "./atom.ts";
import { createFieldSet, type FieldSet, type FieldSetBuilder, insertPath } from "./field_set.ts";
import { fieldElement } from "./path_element.ts";

/** One endpoint. */
export interface ManagedEndpoint {
  readonly kind: Kind;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly atom: Atom;
  /** Fields that nobody owns by what is written here: the strategy resets them. `managedFields` is among them. */
  readonly ignored: FieldSet;
}

/**
 * Builds an endpoint.
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

/** The API version that an endpoint's managers write in. */
export function getApiVersion(endpoint: ManagedEndpoint): string {
  return formatApiVersion(endpoint.kind);
}

const empties = new WeakMap<MessageSchema, Record<string, unknown>>();

/** An object of a kind with nothing set, what a creation starts from; not to be changed. */
export function emptyObject(schema: MessageSchema): Readonly<Record<string, unknown>> {
  let empty = empties.get(schema);
  if (empty === undefined) empties.set(schema, empty = createZeroMessage(getMessagePlan(schema)));
  return empty;
}

/** What the server sets, and nobody owns (apimachinery `managedfields/internal/stripmeta.go`). */
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
