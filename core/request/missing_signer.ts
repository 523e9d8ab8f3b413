/**
 * Advice for a CSR that is approved and has no certificate. The API does not list signers, so a client only knows that none
 * has issued so far.
 */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/kinds/certificates_v1.ts";
import { shellWord } from "../lib/shell_word.ts";

/** The signers of `tlsboot up` and, by default, of kube-controller-manager. */
const COMMON_SIGNERS: readonly string[] = [
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBELET_SERVING_SIGNER,
];

/** A running signer issues within moments, so a CSR that has waited longer seems to have no signer. */
export const SIGNER_OVERDUE_MS = 10_000;

/** Describes what a user can do when no signer issues a certificate. */
export function describeMissingSigner(signerName: string): string {
  const start = COMMON_SIGNERS.includes(signerName)
    ? "tlsboot up, tlsboot signer or kube-controller-manager signs for it"
    : `tlsboot signer --signer ${shellWord(signerName)}, or the program that the name belongs to, signs for it`;
  return `see that a signer for "${signerName}" runs and has a CA: ${start}`;
}
