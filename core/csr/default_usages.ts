/** Which usages to ask for when nobody says: what the signer accepts, or what the names are good for. */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/certificates_v1.ts";
import type { PublicKeyAlgorithm } from "../pki/public_key.ts";
import type { AlternativeNames } from "../pki/subject_alternative_names.ts";

const PURPOSE_OF: ReadonlyMap<string, string> = new Map([
  [KUBE_APISERVER_CLIENT_SIGNER, "client auth"],
  [KUBE_APISERVER_CLIENT_KUBELET_SIGNER, "client auth"],
  [KUBELET_SERVING_SIGNER, "server auth"],
]);

/** What one of Kubernetes' signers is asked for; undefined where the signer's name says nothing of it. */
export function signerUsages(signerName: string, keyAlgorithm: PublicKeyAlgorithm): readonly string[] | undefined {
  const purpose = PURPOSE_OF.get(signerName);
  return purpose === undefined ? undefined : usagesFor(purpose, keyAlgorithm);
}

/**
 * `digital signature`, `key encipherment` for RSA, and one purpose: the signer's own; at other signers `server auth` for
 * a request with DNS names or IP addresses, else `client auth`.
 */
export function defaultUsages(
  signerName: string,
  keyAlgorithm: PublicKeyAlgorithm,
  names: Pick<AlternativeNames, "dnsNames" | "ipAddresses">,
): readonly string[] {
  const isServer = names.dnsNames.length + names.ipAddresses.length > 0;
  return signerUsages(signerName, keyAlgorithm) ?? usagesFor(isServer ? "server auth" : "client auth", keyAlgorithm);
}

function usagesFor(purpose: string, keyAlgorithm: PublicKeyAlgorithm): readonly string[] {
  return ["digital signature", ...(keyAlgorithm === "RSA" ? ["key encipherment"] : []), purpose];
}
