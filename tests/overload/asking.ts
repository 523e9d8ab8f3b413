/** Answers to any user who that is. */
export const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/** What a bootstrap token is for. */
export const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The largest answer that a bootstrap token gets. */
export const LARGE = "/openapi/v2";

export function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}`, "content-type": "application/json" };
}
