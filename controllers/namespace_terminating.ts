/** Recognizes the error of a creation in a namespace that is being deleted or gone, which is not worth a retry. */
import { isAppError } from "../core/errors.ts";
import { StatusError } from "../core/kube/status.ts";

/** True for an error that says that the namespace is terminating or does not exist. */
export function isNamespaceTerminating(error: unknown): boolean {
  if (isAppError(error, "not_found")) return true;
  if (!(error instanceof StatusError)) return false;
  return (error.status.details?.causes ?? []).some(({ reason }) => reason === "NamespaceTerminating");
}
