/**
 * The chain of authenticators (`pkg/kubeapiserver/authenticator/config.go`): client certificate, then bearer token
 * (token file, bootstrap tokens), then anonymous. The first success wins; an invalid credential is never downgraded to
 * anonymous.
 */
import type { TokenFile } from "../../core/bootstrap/token_file.ts";
import type { SecretObject } from "../../core/kube/core_v1.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import { ANONYMOUS_USER, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, type UserInfo } from "../../core/kube/user.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import {
  API_AUDIENCES,
  type Authenticator,
  type AuthnResult,
  type MethodResult,
  selectAcceptedAudiences,
  type TokenAuthenticator,
} from "./authentication.ts";
import {
  createBootstrapTokenAuthenticator,
  createTokenFileAuthenticator,
  parseBearerToken,
} from "./token_authenticators.ts";
import { createClientCertificateAuthenticator } from "./client_certificate.ts";

/** Dependencies of the authenticator, and the methods that are enabled. */
export interface AuthenticatorDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Returns the CAs whose client certificates are trusted at the moment; a changed set is a new array. */
  readonly clientCas: () => readonly CertificateFacts[];
  readonly tokenFile?: TokenFile;
  /** Looks up Secrets of kube-system by name. */
  readonly bootstrapTokens?: { getSecret(name: string): Promise<SecretObject | undefined> };
  readonly anonymous: boolean;
  /** Called with the remaining lifetime of a client certificate, in seconds, each time that one is accepted. */
  readonly onClientCertificate?: (secondsLeft: number) => void;
}

/** Creates the chain of authenticators. */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const byCertificate = createClientCertificateAuthenticator(deps.clientCas, deps.onClientCertificate);
  const byToken = createTokenAuthenticators(deps);
  return async ({ authorizationHeader, peerCertificate, audiences = API_AUDIENCES, isRepeated = false }) => {
    const failures: string[] = [];
    const shown = byCertificate(peerCertificate, deps.clock.now(), isRepeated);
    if (shown.kind === "user") return accept(shown.user, audiences);
    if (shown.kind === "failed") failures.push(shown.reason);
    const { token, warning } = parseBearerToken(authorizationHeader);
    const warnings = warning === undefined ? {} : { warnings: [warning] };
    if (token !== undefined) {
      const accepted = selectAcceptedAudiences(audiences);
      // No method accepts a token for other audiences.
      const result = await tryToken(token, accepted.length === 0 ? [] : byToken);
      if (result.kind === "user") return accept(result.user, accepted);
      if (result.kind === "failed") failures.push(result.reason);
    }
    return withoutUser(deps, failures, warnings);
  };
}

function createTokenAuthenticators(deps: AuthenticatorDeps): readonly TokenAuthenticator[] {
  const { clock, logger, tokenFile, bootstrapTokens } = deps;
  return [
    ...(tokenFile === undefined ? [] : [createTokenFileAuthenticator(tokenFile)]),
    ...(bootstrapTokens === undefined
      ? []
      : [createBootstrapTokenAuthenticator({ clock, logger, getSecret: (name) => bootstrapTokens.getSecret(name) })]),
  ];
}

/** Tries one authenticator after the other; an unknown token is a failure. */
async function tryToken(token: string, authenticators: readonly TokenAuthenticator[]): Promise<MethodResult> {
  for (const authenticate of authenticators) {
    const result = await authenticate(token);
    if (result.kind === "user") return result;
  }
  return { kind: "failed", reason: "invalid bearer token" };
}

function withoutUser(
  deps: AuthenticatorDeps,
  failures: readonly string[],
  warnings: { readonly warnings?: readonly string[] },
): AuthnResult {
  if (failures.length > 0 || !deps.anonymous) return { kind: "unauthorized", failures, ...warnings };
  return { kind: "anonymous", user: ANONYMOUS, ...warnings };
}

function accept(user: UserInfo, audiences: readonly string[]): AuthnResult {
  const { username, groups } = user;
  const isSettled = groups.includes(AUTHENTICATED_GROUP) || groups.includes(UNAUTHENTICATED_GROUP);
  if (username === ANONYMOUS_USER || isSettled) return { kind: "user", user, audiences };
  return { kind: "user", user: { ...user, groups: [...groups, AUTHENTICATED_GROUP] }, audiences };
}

/** The user of a request without credentials: `system:anonymous`, in the group `system:unauthenticated` only. */
const ANONYMOUS: UserInfo = {
  username: ANONYMOUS_USER,
  uid: "",
  groups: [UNAUTHENTICATED_GROUP],
  extra: {},
};
