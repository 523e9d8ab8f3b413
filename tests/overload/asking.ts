/** The path of a review that every authenticated user may create. */
export const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/** The path of the requests that a bootstrap token may create. */
export const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The largest answer that a bootstrap token gets. */
export const LARGE = "/openapi/v2";

export function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}`, "content-type": "application/json" };
}
