/** Whom tokens are meant for. */

/**
 * The audiences of this server: what kube-apiserver takes from its issuer (`--api-audiences`). Static and bootstrap
 * tokens name no audience and count as meant for this server.
 */
export const API_AUDIENCES: readonly string[] = ["https://kubernetes.default.svc"];

/** The wanted audiences that are this server's, as often and in the order in which they are wanted. */
export function acceptedAudiences(wanted: readonly string[]): readonly string[] {
  return wanted.filter((audience) => API_AUDIENCES.includes(audience));
}
