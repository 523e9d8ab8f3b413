/**
 * Whether `cluster-info` may be believed by who holds a bootstrap token and the hash of the CA's key (kubeadm's
 * `discovery/token/token.go`). Reading it is left to `client/discover_cluster.ts`.
 */
import type { ConfigMap } from "../kube/core_v1.ts";
import { parseKubeconfig } from "../kube/kubeconfig.ts";
import { parseCaBundle } from "../pki/ca_bundle.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import { encodePem } from "../pki/pem.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { CLUSTER_INFO_KUBECONFIG_KEY, CLUSTER_INFO_NAME, type PublishedCluster } from "./cluster_info.ts";
import { SIGNATURE_PREFIX } from "./cluster_info_signatures.ts";
import { isSignedDetached } from "./jws.ts";
import type { BootstrapToken } from "./token.ts";

/** What the signatures in `cluster-info` say to the holder of a token. */
export type SignatureVerdict =
  /** The kubeconfig in it, which somebody who has the token's secret has signed. */
  | { readonly kind: "signed"; readonly kubeconfig: string }
  /** Nobody has signed for this token: it is unknown or over, or new and will be signed for in a moment. */
  | { readonly kind: "unsigned" }
  /** There is nothing to sign, or the signature is somebody else's. */
  | { readonly kind: "refused"; readonly why: string };

/** Looks for the signature of a token. */
export function checkClusterInfoSignature(map: ConfigMap, token: BootstrapToken): SignatureVerdict {
  const kubeconfig = map.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "";
  if (kubeconfig === "") return { kind: "refused", why: `it has no ${CLUSTER_INFO_KUBECONFIG_KEY}` };
  const signature = map.data?.[`${SIGNATURE_PREFIX}${token.id}`] ?? "";
  if (signature === "") return { kind: "unsigned" };
  if (isSignedDetached(signature, kubeconfig, token.id, token.secret)) return { kind: "signed", kubeconfig };
  return { kind: "refused", why: `its signature for "${token.id}" was not made with the token's secret` };
}

/** A cluster whose CA has a key that was pinned. */
export interface PinnedCluster extends PublishedCluster {
  /**
   * The pinned certificates of the bundle alone. Whoever has a token can sign a bundle with a CA of their own beside
   * the right one, so the others count only once they were read over a connection that these vouch for.
   */
  readonly pinnedPem: string;
}

/** Reads the signed kubeconfig and looks for a pinned key among its CAs. The error says what there is instead. */
export function checkPins(kubeconfig: string, pins: readonly PublicKeyPin[]): Result<PinnedCluster, string> {
  const config = parseKubeconfig(kubeconfig, CLUSTER_INFO_NAME);
  if (!config.ok) return config;
  const [entry, ...others] = config.value.clusters;
  if (entry === undefined || others.length > 0) {
    return err(`its kubeconfig has ${config.value.clusters.length} clusters, want one`);
  }
  const { server, certificateAuthorityData: caPem = "" } = entry.cluster;
  if (URL.parse(server)?.protocol !== "https:") return err(`its server "${server}" is not an https URL`);
  const bundle = parseCaBundle(caPem);
  if (!bundle.ok) return err(`its CA cannot be read: ${bundle.error}`);
  const pinned = bundle.value.filter((certificate) => pins.includes(publicKeyPin(certificate)));
  if (pinned.length === 0) {
    return err(`its CA has the hash ${bundle.value.map(publicKeyPin).join(", ")}, which was not given`);
  }
  return ok({ server, caPem, pinnedPem: pinned.map(({ der }) => encodePem("CERTIFICATE", der)).join("") });
}
