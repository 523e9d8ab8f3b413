/**
 * Verifies `cluster-info` with a bootstrap token and the hash of the CA's key (`cmd/kubeadm/app/discovery/token/token.go`).
 * `client/discover_cluster.ts` reads the config map.
 */
import type { ConfigMap } from "../kube/kinds/core_v1.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/public_key_pin.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { CLUSTER_INFO_KUBECONFIG_KEY, parseClusterInfo, type PublishedCluster } from "./cluster_info.ts";
import { isSignedDetached, SIGNATURE_PREFIX } from "./cluster_info_signatures.ts";
import type { BootstrapToken } from "./token.ts";

/** The outcome of checking the signature of a token in `cluster-info`. */
export type SignatureVerdict =
  /** The kubeconfig in `cluster-info` was signed with the token's secret. */
  | { readonly kind: "signed"; readonly kubeconfig: string }
  /** There is no signature for this token: it is unknown, expired, or so new that the controller has not signed yet. */
  | { readonly kind: "unsigned" }
  /** There is nothing to sign, or the signature was made with another secret. */
  | { readonly kind: "refused"; readonly why: string };

/** Checks the signature of a token in the config map. */
export function checkClusterInfoSignature(map: ConfigMap, token: BootstrapToken): SignatureVerdict {
  const kubeconfig = map.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "";
  if (kubeconfig === "") return { kind: "refused", why: `it has no ${CLUSTER_INFO_KUBECONFIG_KEY}` };
  const signature = map.data?.[`${SIGNATURE_PREFIX}${token.id}`] ?? "";
  if (signature === "") return { kind: "unsigned" };
  if (isSignedDetached(signature, kubeconfig, token.id, token.secret)) return { kind: "signed", kubeconfig };
  return { kind: "refused", why: `its signature for "${token.id}" was not made with the token's secret` };
}

/** A cluster with at least one CA whose public key is pinned. */
export interface PinnedCluster extends PublishedCluster {
  /**
   * The pinned certificates of the bundle alone. Every holder of a token can sign a bundle that also contains a CA of
   * their own, so the other certificates count only after they were read over a connection that a pinned CA vouches for.
   */
  readonly pinnedPem: string;
}

/** Parses the signed kubeconfig and requires a pinned key among its CAs. The error describes what was found instead. */
export function checkPins(kubeconfig: string, pins: readonly PublicKeyPin[]): Result<PinnedCluster, string> {
  const cluster = parseClusterInfo(kubeconfig);
  if (!cluster.ok) return cluster;
  const { server, caPem, authorities } = cluster.value;
  const pinned = authorities.filter((certificate) => pins.includes(publicKeyPin(certificate)));
  if (pinned.length === 0) {
    return err(`its CA has the hash ${authorities.map(publicKeyPin).join(", ")}, which was not given`);
  }
  return ok({ server, caPem, pinnedPem: pinned.map(({ der }) => encodePem("CERTIFICATE", der)).join("") });
}
