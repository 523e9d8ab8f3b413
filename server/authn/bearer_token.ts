/** The Authorization header (`apiserver/pkg/authentication/request/bearertoken/bearertoken.go`). */

/** The content of an Authorization header. */
export interface BearerToken {
  /** Undefined when the header has another scheme or no token. */
  readonly token: string | undefined;
  readonly warning?: string;
}

const EXTRA_SPACE = "the provided Authorization header contains extra space before the bearer token, and is ignored";

/** Parses the Authorization header. A token after a second space is ignored, with a warning. */
export function parseBearerToken(header: string | undefined): BearerToken {
  const [scheme = "", token = "", ...rest] = (header ?? "").trim().split(" ");
  if (scheme.toLowerCase() !== "bearer") return { token: undefined };
  if (token !== "") return { token };
  return rest.length > 0 ? { token: undefined, warning: EXTRA_SPACE } : { token: undefined };
}
