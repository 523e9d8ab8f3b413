/** Kinds that only newer releases of kube-apiserver serve, and the error of a server without one of them. */
import type { ApiClient } from "../objects/api.ts";
import { AppError } from "../../core/errors.ts";
import { formatApiVersion, formatCollectionPath, type Kind } from "../../core/kube/schema.ts";
import { isGroupMissing } from "./records.ts";

/** Creates the error of a server without a kind of `certificates.k8s.io/v1` that Kubernetes 1.37 has added. */
export function createMissingKindError(kind: Kind, advice: string, cause: unknown): AppError {
  return new AppError("not_found", `the server does not serve ${kind.kind}s of ${formatApiVersion(kind)}`, {
    cause,
    hint: `Kubernetes serves them from version 1.37 on; ${advice}`,
  });
}

/** Throws when the server lacks one of the kinds. Any other failure to list them is left to those that use them. */
export async function checkServedKinds(
  api: ApiClient,
  kinds: readonly Kind[],
  advice: string,
  signal: AbortSignal,
): Promise<void> {
  for (const kind of kinds) {
    try {
      await api.requestObject({ method: "GET", path: `${formatCollectionPath(kind)}?limit=1` }, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      if (isGroupMissing(error)) throw createMissingKindError(kind, advice, error);
    }
  }
}
