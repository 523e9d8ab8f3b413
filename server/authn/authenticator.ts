/**
 * The chain of authenticators (`pkg/kubeapiserver/authenticator/config.go`): client certificate, then bearer token
 * (token file, bootstrap tokens), then anonymous. The first success wins; an invalid credential is never downgraded to
 * anonymous.
 */
import type { TokenFile } from "../../core/bootstrap/token_file.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import { ANONYMOUS_USER, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, type UserInfo } from "../../core/kube/user.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import {
  API_AUDIENCES,
  type Authenticator,
  type AuthnRequest,
  type AuthnResult,
  type MethodResult,
  selectAcceptedAudiences,
  type TokenAuthenticator,
} from "./authentication.ts";
import {
  type BootstrapTokenDeps,
  createBootstrapTokenAuthenticator,
  createTokenFileAuthenticator,
  parseBearerToken,
} from "./token_authenticators.ts";
import { createClientCertificateAuthenticator } from "./client_certificate.ts";
import type { NodeRecovery } from "../node_recovery.ts";

/** Dependencies of the authenticator, and the methods that are enabled. */
export interface AuthenticatorDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Returns the CAs whose client certificates are trusted at the moment; a changed set is a new array. */
  readonly clientCas: () => readonly CertificateFacts[];
  readonly tokenFile?: TokenFile;
  /** Reads the Secrets of bootstrap tokens, and learns how the tokens are used. */
  readonly bootstrapTokens?: BootstrapTokenDeps["tokens"];
  readonly anonymous: boolean;
  /** Lets nodes with an expired certificate request their next one; absent when that is off. */
  readonly nodeRecovery?: Pick<NodeRecovery, "authenticate">;
  /** Called with each client certificate that is accepted; a promise is awaited before the request continues. */
  readonly onClientCertificate?: (leaf: CertificateFacts) => Promise<void> | undefined;
}

/** Creates the chain of authenticators. */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const byCertificate = createClientCertificateAuthenticator(deps.clientCas);
  const byToken = createTokenAuthenticators(deps);
  return async (request) => {
    const { authorizationHeader, peerCertificate, audiences = API_AUDIENCES, isRepeated = false } = request;
    const failures: string[] = [];
    const shown = byCertificate(peerCertificate, deps.clock.now());
    if (shown.kind === "user") {
      const reported = isRepeated ? undefined : deps.onClientCertificate?.(shown.leaf);
      if (reported !== undefined) await reported;
      return accept(shown.user, audiences);
    }
    if (shown.kind === "failed") failures.push(shown.reason);
    const { token, warning } = parseBearerToken(authorizationHeader);
    const warnings = warning === undefined ? {} : { warnings: [warning] };
    if (token !== undefined) {
      const accepted = selectAcceptedAudiences(audiences);
      // No method accepts a token for other audiences.
      const result = await tryToken(token, request, accepted.length === 0 ? [] : byToken);
      if (result.kind === "user") return accept(result.user, accepted);
      failures.push(result.reason);
      const refusal = result.isGenuine === true ? { refusal: result.reason } : {};
      return withoutUser(deps, failures, { ...warnings, ...refusal });
    }
    if (shown.kind === "failed" && peerCertificate !== undefined && deps.nodeRecovery !== undefined) {
      const { clientCas, nodeRecovery } = deps;
      const recovered = await nodeRecovery.authenticate(peerCertificate, clientCas(), request.remoteAddress);
      if (recovered.kind === "user") return { ...accept(recovered.user, audiences), isRecovering: true };
      if (recovered.kind === "failed") failures.push(recovered.reason);
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
      : [createBootstrapTokenAuthenticator({ clock, logger, tokens: bootstrapTokens })]),
  ];
}

/** Tries one authenticator after the other; an unknown token is a failure. */
async function tryToken(
  token: string,
  request: AuthnRequest,
  authenticators: readonly TokenAuthenticator[],
): Promise<Exclude<MethodResult, { readonly kind: "none" }>> {
  for (const authenticate of authenticators) {
    const result = await authenticate(token, request);
    if (result.kind !== "none") return result;
  }
  return { kind: "failed", reason: "invalid bearer token" };
}

function withoutUser(
  deps: AuthenticatorDeps,
  failures: readonly string[],
  { refusal, ...warnings }: { readonly warnings?: readonly string[]; readonly refusal?: string },
): AuthnResult {
  if (failures.length > 0 || !deps.anonymous) {
    return { kind: "unauthorized", failures, ...(refusal === undefined ? {} : { refusal }), ...warnings };
  }
  return { kind: "anonymous", user: ANONYMOUS, ...warnings };
}

function accept(user: UserInfo, audiences: readonly string[]): AuthnResult & { readonly kind: "user" } {
  const { username, groups } = user;
  const isSettled = groups.includes(AUTHENTICATED_GROUP) || groups.includes(UNAUTHENTICATED_GROUP);
  if (username === ANONYMOUS_USER || isSettled) return { kind: "user", user, audiences };
  return { kind: "user", user: { ...user, groups: [...groups, AUTHENTICATED_GROUP] }, audiences };
}

/** The user of a request without credentials: `system:anonymous`, in the group `system:unauthenticated` only. */
export const ANONYMOUS: UserInfo = {
  username: ANONYMOUS_USER,
  uid: "",
  groups: [UNAUTHENTICATED_GROUP],
  extra: {},
};
