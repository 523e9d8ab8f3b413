/** Bundles of trust anchors, as ClusterTrustBundles hold them: merged, counted and dated. */
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { encodePem, parsePemBlocks } from "./pem.ts";

/** The number of the certificates in a bundle, and when the first of them expires. */
export interface TrustBundleFacts {
  readonly certificates: number;
  /** Undefined when no certificate can be read. */
  readonly firstNotAfter: Date | undefined;
}

/**
 * Merges bundles as kubelet does for a projected volume: each certificate once, and nothing between the blocks
 * (`pkg/kubelet/clustertrustbundle/clustertrustbundle_manager.go`, `normalizeTrustAnchors`). kubelet shuffles the
 * certificates at each of its starts; here the same certificates are always the same text.
 */
export function mergeTrustBundles(bundles: readonly string[]): string {
  const certificates = bundles.flatMap(parsePemBlocks).map(({ bytes }) => encodePem("CERTIFICATE", bytes));
  return [...new Set(certificates)].sort().join("");
}

/** Describes a bundle. Certificates that cannot be read are counted, but have no date. */
export function describeTrustBundle(bundle: string): TrustBundleFacts {
  const blocks = parsePemBlocks(bundle);
  const readable = blocks.map(({ bytes }) => parseCertificate(bytes)).filter((parsed) => parsed.ok);
  return { certificates: blocks.length, firstNotAfter: findFirstEnd(readable.map(({ value }) => value)) };
}

function findFirstEnd(certificates: readonly CertificateFacts[]): Date | undefined {
  return certificates.map(({ notAfter }) => notAfter).sort((a, b) => a.getTime() - b.getTime())[0];
}
