/** The ClusterTrustBundle of a signer (`pkg/controller/certificates/clustertrustbundlepublisher/publisher.go`). */
import { createHash } from "node:crypto";
import { toTrustBundlePrefix } from "../csr/trust_bundle.ts";
import type { ClusterTrustBundle } from "../kube/certificates_v1.ts";
import { getName } from "../kube/meta.ts";

/** What makes the trust bundles of a signer as they should be: first the write, then the deletions. */
export interface TrustBundlePlan {
  readonly write?: { readonly verb: "create" | "update"; readonly bundle: ClusterTrustBundle };
  /** The bundles that a signer had before. */
  readonly deletions: readonly ClusterTrustBundle[];
}

/** Plans one bundle with the given content, and the deletion of the signer's others. */
export function planTrustBundles(
  signerName: string,
  trustBundle: string,
  existing: readonly ClusterTrustBundle[],
): TrustBundlePlan {
  const name = formatTrustBundleName(signerName, trustBundle);
  const spec = { signerName, trustBundle };
  const own = existing.filter((bundle) => bundle.spec.signerName === signerName);
  const present = own.find((bundle) => getName(bundle) === name);
  const deletions = own.filter((bundle) => bundle !== present);
  if (present === undefined) return { write: { verb: "create", bundle: { metadata: { name }, spec } }, deletions };
  if (present.spec.trustBundle === trustBundle) return { deletions };
  return { write: { verb: "update", bundle: { ...present, spec } }, deletions };
}

/** Returns the name of a bundle, such as `example.com:web:3f…`: the signer, and the first 12 bytes of a SHA-256. */
export function formatTrustBundleName(signerName: string, trustBundle: string): string {
  const hash = createHash("sha256").update(trustBundle).digest("hex").slice(0, 24);
  return `${toTrustBundlePrefix(signerName)}${hash}`;
}
