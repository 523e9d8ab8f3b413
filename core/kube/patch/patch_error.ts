/** The failures of a patch, which `core/kube/status.ts` converts to answers. */

/**
 * The reason why a patch cannot be applied.
 * - `badRequest`: the patch itself is wrong (400);
 * - `unprocessable`: it does not fit the object (422, the client sees no detail);
 * - `tooLarge`: too many operations (413);
 * - `internal`: an error that upstream answers with 500.
 */
export interface PatchError {
  readonly kind: "badRequest" | "unprocessable" | "tooLarge" | "internal";
  readonly message: string;
}

/** Creates the error of a patch that is wrong in itself. */
export function badPatch(message: string): PatchError {
  return { kind: "badRequest", message };
}

/** Creates the error of a patch that does not fit the object. */
export function unfitPatch(message: string): PatchError {
  return { kind: "unprocessable", message };
}
