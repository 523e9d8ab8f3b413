/** Which CAs a data directory may have, and where they are: one for everything, or one for each purpose. */
import { join } from "node:path";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../core/kube/certificates_v1.ts";

/** What a CA is for. `serving` is `pki/ca.crt`, and is for everything where the others are not there. */
export type CaPurpose = "serving" | "client" | "kubelet-client" | "kubelet-serving" | "custom";

/** Where the two files of a CA are. */
export interface AuthorityPaths {
  readonly certificate: string;
  readonly key: string;
}

/** The purposes beside `serving`, each with a CA of its own in a split instance. */
export const SPLIT_PURPOSES: readonly CaPurpose[] = ["client", "kubelet-client", "kubelet-serving", "custom"];

/** What each is for, in words. */
export const PURPOSE_TEXT: Readonly<Record<CaPurpose, string>> = {
  serving: "the API server's certificate; clients of the API trust it",
  client: "clients of the API (kubernetes.io/kube-apiserver-client) and administrators; the API trusts it",
  "kubelet-client": "kubelets as clients of the API (kubernetes.io/kube-apiserver-client-kubelet); the API trusts it",
  "kubelet-serving": "kubelets as servers (kubernetes.io/kubelet-serving); for kube-apiserver's " +
    "--kubelet-certificate-authority",
  custom: "signers of your own (--signer-name)",
};

/** The purpose that a signer has a CA for. */
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

/** The paths of a CA below a data directory. */
export function authorityPaths(dataDir: string, purpose: CaPurpose = "serving"): AuthorityPaths {
  const name = purpose === "serving" ? "ca" : `${purpose}-ca`;
  return { certificate: join(dataDir, "pki", `${name}.crt`), key: join(dataDir, "pki", `${name}.key`) };
}
