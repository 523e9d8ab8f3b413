/** The ClusterTrustBundle of a signer (`pkg/controller/certificates/clustertrustbundlepublisher/publisher.go`). */
import { hash } from "node:crypto";
import { toTrustBundlePrefix } from "../request/validate_trust_bundle.ts";
import type { ClusterTrustBundle } from "../kube/kinds/certificates_v1.ts";
import { getCreationMs, getName } from "../kube/meta.ts";

/** The changes that make the trust bundles of a signer current: first the write, then the deletions. */
export interface TrustBundlePlan {
  readonly write?: { readonly verb: "create" | "update"; readonly bundle: ClusterTrustBundle };
  /** The bundles that the signer had before, as far as they are not kept. */
  readonly deletions: readonly ClusterTrustBundle[];
  /** The time until the next kept bundle is to be deleted. */
  readonly keptForMs?: number;
}

export interface TrustBundleContent {
  readonly trustBundle: string;
  /** The annotations with the prefix `tlsboot/`; others with that prefix are removed. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Plans one bundle with the given content, and the deletion of the signer's others. Upstream deletes them at once; with
 * `keepMs` they stay for that long, so that certificates of an earlier CA are trusted until they are replaced.
 */
export function planTrustBundles(
  signerName: string,
  { trustBundle, annotations = {} }: TrustBundleContent,
  existing: readonly ClusterTrustBundle[],
  now: Date,
  keepMs = 0,
): TrustBundlePlan {
  const name = formatTrustBundleName(signerName, trustBundle);
  const spec = { signerName, trustBundle };
  const own = existing.filter((bundle) => bundle.spec.signerName === signerName);
  const present = own.find((bundle) => getName(bundle) === name);
  const others = own.filter((bundle) => bundle !== present).map((bundle) => {
    const replacedAt = present === undefined ? now.getTime() : Math.max(getCreationMs(present), getCreationMs(bundle));
    return { bundle, restMs: replacedAt + keepMs - now.getTime() };
  });
  const rests = others.map(({ restMs }) => restMs).filter((restMs) => restMs > 0);
  const plan = {
    deletions: others.filter(({ restMs }) => restMs <= 0).map(({ bundle }) => bundle),
    ...(rests.length === 0 ? {} : { keptForMs: Math.min(...rests) }),
  };
  const wanted = Object.keys(annotations).length === 0 ? {} : { annotations };
  if (present === undefined) {
    return { ...plan, write: { verb: "create", bundle: { metadata: { name, ...wanted }, spec } } };
  }
  const isAnnotated = JSON.stringify(listOwn(present).sort()) === JSON.stringify(Object.entries(annotations).sort());
  if (present.spec.trustBundle === trustBundle && isAnnotated) return plan;
  const foreign = Object.entries(present.metadata.annotations ?? {}).filter(([key]) => !key.startsWith(OWN_PREFIX));
  const metadata = { ...present.metadata, annotations: { ...Object.fromEntries(foreign), ...annotations } };
  return { ...plan, write: { verb: "update", bundle: { ...present, metadata, spec } } };
}

const OWN_PREFIX = "tlsboot/";

function listOwn({ metadata: { annotations = {} } }: ClusterTrustBundle): [string, string][] {
  return Object.entries(annotations).filter(([key]) => key.startsWith(OWN_PREFIX));
}

/** Returns the name of a bundle, such as `example.com:web:3f…`: the signer, and the first 12 bytes of a SHA-256. */
export function formatTrustBundleName(signerName: string, trustBundle: string): string {
  return `${toTrustBundlePrefix(signerName)}${hash("sha256", trustBundle).slice(0, 24)}`;
}
