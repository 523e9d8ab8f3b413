/**
 * Reads the ClusterTrustBundles that a user selects, and explains failures, including those of servers without a kind
 * that Kubernetes 1.37 added.
 */
import { type ApiClient, listAll } from "../objects/api.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { clusterTrustBundleKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion, formatCollectionPath, formatObjectPath, type Kind } from "../../core/kube/schema.ts";
import { findObject, isGroupMissing } from "./records.ts";

/** One bundle by name, or all bundles of a signer with certain labels, as a projected volume selects them. */
export type TrustBundleSelection =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "signer"; readonly signerName: string; readonly labelSelector?: string | undefined };

export const TRUST_BUNDLE_COLLECTION = formatCollectionPath(clusterTrustBundleKind);

/** Returns the selectors with which the API lists and watches the selection. */
export function toTrustBundleSelectors(
  selection: TrustBundleSelection,
): { readonly fieldSelector: string; readonly labelSelector?: string | undefined } {
  if (selection.kind === "name") return { fieldSelector: `metadata.name=${selection.name}` };
  const { signerName, labelSelector } = selection;
  return { fieldSelector: `spec.signerName=${signerName}`, labelSelector };
}

/** Reads the selected bundles. A failure throws the error of `explainTrustBundleFailure`. */
export async function readTrustBundles(
  api: ApiClient,
  selection: TrustBundleSelection,
  signal: AbortSignal,
): Promise<readonly ClusterTrustBundle[]> {
  try {
    if (selection.kind === "signer") {
      const selectors = toTrustBundleSelectors(selection);
      return (await listAll<ClusterTrustBundle>(api, TRUST_BUNDLE_COLLECTION, selectors, signal)).items;
    }
    const path = formatObjectPath(clusterTrustBundleKind, selection.name);
    const bundle = await findObject<ClusterTrustBundle>(api, path, signal);
    return bundle === undefined ? [] : [bundle];
  } catch (error) {
    throw explainTrustBundleFailure(error);
  }
}

/** Creates the error for a selection that matches no bundle. */
export function createNoBundleError(selection: TrustBundleSelection): AppError {
  const hint = "list the existing ones with: tlsboot get trustbundles";
  if (selection.kind === "name") {
    return new AppError("not_found", `there is no ClusterTrustBundle "${selection.name}"`, { hint });
  }
  const { signerName, labelSelector } = selection;
  const labels = labelSelector === undefined ? "" : ` with the labels "${labelSelector}"`;
  return new AppError("not_found", `there is no ClusterTrustBundle of the signer "${signerName}"${labels}`, { hint });
}

/** Adds the next step to the failure of a request for bundles. Other errors are returned as they are. */
export function explainTrustBundleFailure(error: unknown): unknown {
  if (isGroupMissing(error)) {
    return createMissingKindError(clusterTrustBundleKind, "copy the bundle from a server that does", error);
  }
  if (!isAppError(error, "access_denied")) return error;
  return new AppError("access_denied", error.message, {
    cause: error,
    hint:
      "it needs the verbs get, list and watch on clustertrustbundles.certificates.k8s.io; an administrator grants " +
      "them with: kubectl create clusterrolebinding NAME --user=USER " +
      "--clusterrole=system:cluster-trust-bundle-discovery",
  });
}

/** Creates the error for a server without a kind that Kubernetes 1.37 added to `certificates.k8s.io/v1`. */
function createMissingKindError(kind: Kind, advice: string, cause: unknown): AppError {
  return new AppError("not_found", `the server does not serve ${kind.kind}s of ${formatApiVersion(kind)}`, {
    cause,
    hint: `Kubernetes serves them from version 1.37 on; ${advice}`,
  });
}

/** Throws when the server lacks one of the kinds. Other failures are ignored, because later requests report them. */
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
