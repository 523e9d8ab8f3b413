/** Which usages to ask for when nobody says: what the signer accepts, or what the names are good for. */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/certificates_v1.ts";
import type { AlternativeNames } from "../pki/subject_alternative_names.ts";

const PURPOSE_OF: Readonly<Record<string, string>> = {
  [KUBE_APISERVER_CLIENT_SIGNER]: "client auth",
  [KUBE_APISERVER_CLIENT_KUBELET_SIGNER]: "client auth",
  [KUBELET_SERVING_SIGNER]: "server auth",
};

/**
 * `digital signature`, `key encipherment` for RSA, and one purpose: the signer's own; at other signers `server auth` for
 * a request with DNS names or IP addresses, else `client auth`.
 */
export function defaultUsages(
  signerName: string,
  keyAlgorithm: "ECDSA" | "RSA" | "Ed25519",
  names: Pick<AlternativeNames, "dnsNames" | "ipAddresses">,
): readonly string[] {
  const isServer = names.dnsNames.length + names.ipAddresses.length > 0;
  const purpose = PURPOSE_OF[signerName] ?? (isServer ? "server auth" : "client auth");
  return ["digital signature", ...(keyAlgorithm === "RSA" ? ["key encipherment"] : []), purpose];
}
