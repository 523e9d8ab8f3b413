/** How a patch fails; `core/kube/status.ts` makes the answer of it. */

/**
 * Why a patch cannot be applied.
 * - `badRequest`: the patch itself is wrong (400);
 * - `unprocessable`: it does not fit the object (422, the client sees no detail);
 * - `tooLarge`: too many operations (413);
 * - `internal`: what upstream answers as a plain 500.
 */
export interface PatchError {
  readonly kind: "badRequest" | "unprocessable" | "tooLarge" | "internal";
  readonly message: string;
}

/** A patch that is wrong in itself. */
export function badPatch(message: string): PatchError {
  return { kind: "badRequest", message };
}

/** A patch that does not fit the object. */
export function unfitPatch(message: string): PatchError {
  return { kind: "unprocessable", message };
}
