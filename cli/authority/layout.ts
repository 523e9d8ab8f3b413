/** The CAs that a data directory may have, and their paths: one for everything, or one for each purpose. */
import { join } from "node:path";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../core/kube/certificates_v1.ts";

/** The purpose of a CA. `serving` is `pki/ca.crt`, which is used for everything when there are no others. */
export type CaPurpose = "serving" | "client" | "kubelet-client" | "kubelet-serving" | "custom";

/** The paths of the two files of a CA. */
export interface AuthorityPaths {
  readonly certificate: string;
  readonly key: string;
}

/** The purposes other than `serving`, each with a CA of its own in a split instance. */
export const SPLIT_PURPOSES: readonly CaPurpose[] = ["client", "kubelet-client", "kubelet-serving", "custom"];

/** The purpose of each CA in words. */
export const PURPOSE_TEXT: Readonly<Record<CaPurpose, string>> = {
  serving: "the API server's certificate; clients of the API trust it",
  client: "clients of the API (kubernetes.io/kube-apiserver-client) and administrators; the API trusts it",
  "kubelet-client": "kubelets as clients of the API (kubernetes.io/kube-apiserver-client-kubelet); the API trusts it",
  "kubelet-serving": "kubelets as servers (kubernetes.io/kubelet-serving); for kube-apiserver's " +
    "--kubelet-certificate-authority",
  custom: "custom signers (--signer-name)",
};

/** Returns the purpose of the CA that a signer uses. */
export function getSignerPurpose(signerName: string): CaPurpose {
  switch (signerName) {
    case KUBE_APISERVER_CLIENT_SIGNER:
      return "client";
    case KUBE_APISERVER_CLIENT_KUBELET_SIGNER:
      return "kubelet-client";
    case KUBELET_SERVING_SIGNER:
      return "kubelet-serving";
    default:
      return "custom";
  }
}

/** Returns the paths of a CA below a data directory. */
export function authorityPaths(dataDir: string, purpose: CaPurpose = "serving"): AuthorityPaths {
  const name = purpose === "serving" ? "ca" : `${purpose}-ca`;
  return { certificate: join(dataDir, "pki", `${name}.crt`), key: join(dataDir, "pki", `${name}.key`) };
}
