/** Bundles of trust anchors, as ClusterTrustBundles hold them: merged, counted and dated. */
import { listBundled, parseCaBundle } from "./ca_bundle.ts";
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { encodePem, parsePemBlocks } from "../asn1/pem.ts";

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

/** The CAs that a client should trust from now on, compared with those that it trusts. */
export type TrustDecision =
  /** The client trusts exactly these CAs already. */
  | { readonly kind: "same"; readonly fingerprints: readonly string[] }
  | {
    readonly kind: "changed";
    /** The new CAs, as PEM. */
    readonly pem: string;
    readonly fingerprints: readonly string[];
    /** How many CAs are new, and how many are no longer trusted. */
    readonly added: number;
    readonly removed: number;
  }
  /** The bundles cannot be used, and the client keeps its CAs. */
  | { readonly kind: "refused"; readonly reason: string };

/** More CAs than any cluster has. A handshake compares each of them, and a TrustReport holds no more. */
export const MAX_TRUSTED = 100;

/**
 * Decides which CAs a client trusts after it has received the bundles of its cluster: exactly those, so that a CA that
 * has been replaced is given up. The order of the certificates and the text between them do not matter.
 */
export function decideTrust(currentPem: string, bundles: readonly string[]): TrustDecision {
  const found = new Set<string>();
  for (const bundle of bundles) {
    const parsed = parseCaBundle(bundle);
    if (!parsed.ok) return { kind: "refused", reason: parsed.error };
    for (const { sha256Fingerprint } of parsed.value) found.add(sha256Fingerprint);
  }
  if (found.size === 0) return { kind: "refused", reason: "there is no bundle" };
  if (found.size > MAX_TRUSTED) {
    return { kind: "refused", reason: `${found.size} CAs, at most ${MAX_TRUSTED} are allowed` };
  }
  const known = new Set(listBundled(currentPem).map(({ sha256Fingerprint }) => sha256Fingerprint));
  const fingerprints = [...found].sort();
  const added = fingerprints.filter((one) => !known.has(one)).length;
  const removed = [...known].filter((one) => !found.has(one)).length;
  if (added + removed === 0) return { kind: "same", fingerprints };
  return { kind: "changed", pem: mergeTrustBundles(bundles), fingerprints, added, removed };
}

function findFirstEnd(certificates: readonly CertificateFacts[]): Date | undefined {
  return certificates.map(({ notAfter }) => notAfter).sort((a, b) => a.getTime() - b.getTime())[0];
}
