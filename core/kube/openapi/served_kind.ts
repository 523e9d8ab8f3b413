/** What the server offers of a kind, as OpenAPI needs to know it. */
import type { Kind } from "../schema.ts";

/** A kind with its verbs (`get`, `list`, `create`, `update`, `patch`, `delete`, `deletecollection`, `watch`). */
export interface ServedKind {
  readonly kind: Kind;
  readonly verbs: readonly string[];
  readonly subresources: readonly { readonly name: string; readonly verbs: readonly string[] }[];
}
