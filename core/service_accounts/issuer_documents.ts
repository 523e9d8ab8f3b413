/**
 * The documents with which other programs verify service account tokens (`pkg/serviceaccount/openidmetadata.go`). This
 * file has no code for keys, because every start loads it for the default issuer.
 */
import { err, ok, type Result } from "../lib/result.ts";
import { marshalJson } from "../lib/go_text.ts";
import type { TokenKey } from "./jwt.ts";

/** The default issuer of service account tokens, and the default audience of the server. */
export const DEFAULT_ISSUER = "https://kubernetes.default.svc";

/** The path of the OpenID provider configuration (OpenID Connect Discovery 1.0 section 4). */
export const OPENID_CONFIGURATION_PATH = "/.well-known/openid-configuration";
/** The path of the JSON Web Key Set (RFC 7517 section 5). */
export const KEY_SET_PATH = "/openid/v1/jwks";

/** Checks that an issuer can be discovered: it must be an https URL without a query and a fragment. */
export function checkDiscoverableIssuer(issuer: string): Result<undefined, string> {
  if (!URL.canParse(issuer) || new URL(issuer).protocol !== "https:") {
    return err(`issuer URL must use https scheme, got: ${issuer}`);
  }
  if (issuer.includes("?")) return err(`issuer URL may not include a query, got: ${issuer}`);
  if (issuer.includes("#")) return err(`issuer URL may not include a fragment, got: ${issuer}`);
  return ok(undefined);
}

/** Formats the provider configuration as JSON, with the members in kube-apiserver's order. */
export function formatOpenidConfiguration(issuer: string, jwksUri: string, keys: readonly TokenKey[]): string {
  return marshalJson({
    issuer,
    jwks_uri: jwksUri,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: [...new Set(keys.map(({ algorithm }) => algorithm))].sort(),
  });
}

/** Formats the public keys as a JSON Web Key Set. */
export function formatKeySet(keys: readonly TokenKey[]): string {
  return marshalJson({ keys: keys.map(({ jwk }) => jwk) });
}
