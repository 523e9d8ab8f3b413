/** Bootstrap tokens at an API server: Secrets in kube-system. */
import { BOOTSTRAP_TOKEN_NAMESPACE, toTokenSecretName } from "../../core/bootstrap/token_secret.ts";

/** The path of the collection of Secrets. */
export const TOKEN_COLLECTION = `/api/v1/namespaces/${BOOTSTRAP_TOKEN_NAMESPACE}/secrets`;

/** Returns the path of the Secret of a token. */
export function tokenPath(id: string): string {
  return `${TOKEN_COLLECTION}/${toTokenSecretName(id)}`;
}
