/** The Authorization header (`apiserver/pkg/authentication/request/bearertoken/bearertoken.go`). */

/** What the header holds. */
export interface BearerToken {
  /** Undefined when there is none: another scheme, or nothing. */
  readonly token: string | undefined;
  readonly warning?: string;
}

const EXTRA_SPACE = "the provided Authorization header contains extra space before the bearer token, and is ignored";

/** Finds the bearer token of a header. A second space before the token makes it no token at all, with a warning. */
export function parseBearerToken(header: string | undefined): BearerToken {
  const [scheme = "", token = "", ...rest] = (header ?? "").trim().split(" ");
  if (scheme.toLowerCase() !== "bearer") return { token: undefined };
  if (token !== "") return { token };
  return rest.length > 0 ? { token: undefined, warning: EXTRA_SPACE } : { token: undefined };
}
