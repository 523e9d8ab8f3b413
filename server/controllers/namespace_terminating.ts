/** The answer to a creation in a namespace that is going or gone: no reason to try again. */
import { isAppError } from "../../core/errors.ts";
import { StatusError } from "../../core/kube/status.ts";

/** Tells whether it is one. */
export function isNamespaceTerminating(error: unknown): boolean {
  if (isAppError(error, "not_found")) return true;
  if (!(error instanceof StatusError)) return false;
  return (error.status.details?.causes ?? []).some(({ reason }) => reason === "NamespaceTerminating");
}
