/**
 * The chain of authenticators (`pkg/kubeapiserver/authenticator/config.go`): client certificate, then bearer token
 * (token file, bootstrap tokens, service accounts), then anonymous. The first success wins; an invalid credential is
 * never downgraded to anonymous. The TLS layer verified the chain of a client certificate at the handshake; each request
 * checks that it is still valid (`apiserver/pkg/authentication/request/x509/x509.go`).
 */
import type { TokenFile } from "../../core/token/token_file.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { verifyChain } from "../../core/pki/x509/chain.ts";
import { isMlDsa, type KeyAlgorithmOptions } from "../../core/pki/keys/key_algorithm.ts";
import { ANONYMOUS_USER, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, type UserInfo } from "../../core/kube/user.ts";
import { goQuote } from "../../core/lib/quote.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { findCertificateFingerprint, type PresentedCertificate } from "../../core/revocation/revocation_index.ts";
import { identifyCertificate } from "../../core/register/certificate_user.ts";
import {
  type Authenticator,
  type AuthnRequest,
  type AuthnResult,
  type MethodResult,
  parsePeerChain,
  type PeerCertificate,
  type TokenAuthenticator,
} from "./authentication.ts";
import {
  type BootstrapTokenDeps,
  createBootstrapTokenAuthenticator,
  createTokenFileAuthenticator,
  parseBearerToken,
} from "./token_authenticators.ts";
import type { NodeRecovery } from "../node_recovery.ts";
import type { Revocations } from "../revocation/revocations.ts";

/** Dependencies of the authenticator, and the methods that are enabled. */
export interface AuthenticatorDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Returns the CAs whose client certificates are trusted at the moment. */
  readonly clientCas: () => readonly CertificateFacts[];
  readonly tokenFile?: TokenFile | undefined;
  /** Reads the Secrets of bootstrap tokens, and learns how the tokens are used. */
  readonly bootstrapTokens?: BootstrapTokenDeps["tokens"] | undefined;
  readonly anonymous: boolean;
  readonly apiAudiences: readonly string[];
  /** Checks the tokens of service accounts; absent where none are accepted. */
  readonly serviceAccountTokens?: TokenAuthenticator | undefined;
  /** Whether client certificates with ML-DSA keys are accepted (feature gate MLDSA). */
  readonly allowMlDsa?: boolean;
  /** Finds revoked users and certificates; absent where nothing can be revoked. */
  readonly revocations?: Pick<Revocations, "findRefusal">;
  /** Lets nodes with an expired certificate request their next one; absent when that is off. */
  readonly nodeRecovery?: Pick<NodeRecovery, "authenticate"> | undefined;
  /** Called with each client certificate that is accepted; a promise is awaited before the request continues. */
  readonly onClientCertificate?: (leaf: CertificateFacts) => Promise<void> | undefined;
}

/** Creates the chain of authenticators. */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const byCertificate = createClientCertificateAuthenticator(deps.clientCas, deps);
  const byToken = createTokenAuthenticators(deps);
  return async (request) => {
    const { authorizationHeader, peerCertificate, audiences = deps.apiAudiences, isRepeated = false } = request;
    const failures: string[] = [];
    const shown = refuseRevoked(deps, request, byCertificate(peerCertificate, deps.clock.now()));
    if (shown.kind === "user") {
      const reported = isRepeated ? undefined : deps.onClientCertificate?.(shown.leaf);
      if (reported !== undefined) await reported;
      return accept(shown.user, audiences);
    }
    if (shown.kind === "failed") failures.push(shown.reason);
    const { token, warning } = parseBearerToken(authorizationHeader);
    const refusal = shown.kind === "failed" && shown.isGenuine === true ? { refusal: shown.reason } : {};
    const reported = { ...(warning === undefined ? {} : { warnings: [warning] }), ...refusal };
    if (token !== undefined) {
      const tried = await tryToken(token, request, byToken);
      const result = tried.kind === "user" ? refuseRevoked(deps, request, tried) : tried;
      if (result.kind === "user") {
        const { auditAnnotations } = result;
        const accepted = accept(result.user, result.audiences ?? audiences);
        return auditAnnotations === undefined ? accepted : { ...accepted, auditAnnotations };
      }
      // kube-apiserver reports a token of its issuer, too, as one that no method accepts, and then why.
      if (result.isGenuine !== true && result.reason !== UNKNOWN_TOKEN) failures.push(UNKNOWN_TOKEN);
      failures.push(result.reason);
      return withoutUser(deps, failures, {
        ...reported,
        ...(result.isGenuine === true ? { refusal: result.reason } : {}),
      });
    }
    if (shown.kind === "failed" && peerCertificate !== undefined && deps.nodeRecovery !== undefined) {
      const { clientCas, nodeRecovery } = deps;
      const tried = await nodeRecovery.authenticate(peerCertificate, clientCas(), request.remoteAddress);
      const recovered = refuseRevoked(deps, request, tried);
      if (recovered.kind === "user") return { ...accept(recovered.user, audiences), isRecovering: true };
      if (recovered.kind === "failed") {
        failures.push(recovered.reason);
        if (recovered.isGenuine === true) {
          return withoutUser(deps, failures, { ...reported, refusal: recovered.reason });
        }
      }
    }
    return withoutUser(deps, failures, reported);
  };
}

type Failed = MethodResult & { readonly kind: "failed" };

/** Refuses a user who is revoked, or whose certificate is. */
function refuseRevoked<R extends MethodResult | CertificateResult>(
  { revocations }: AuthenticatorDeps,
  request: AuthnRequest,
  result: R,
): R | Failed {
  if (revocations === undefined || result.kind !== "user") return result;
  const { user } = result;
  const revoked = revocations.findRefusal(user, findCertificate(result), request);
  if (revoked === undefined) return result;
  return { kind: "failed", reason: `credential of ${goQuote(user.username)}: ${revoked}`, isGenuine: true };
}

/** Finds the certificate of a user; that of a recovering node is known by its fingerprint only. */
function findCertificate(
  result: (MethodResult | CertificateResult) & { readonly kind: "user" },
): PresentedCertificate | undefined {
  if ("leaf" in result) {
    const { serialNumber, sha256Fingerprint: fingerprint, notBefore } = result.leaf;
    return { serialNumber, fingerprint, notBefore };
  }
  const fingerprint = findCertificateFingerprint(result.user.extra);
  return fingerprint === undefined ? undefined : { serialNumber: "", fingerprint, notBefore: new Date(0) };
}

function createTokenAuthenticators(deps: AuthenticatorDeps): readonly TokenAuthenticator[] {
  const { clock, logger, tokenFile, bootstrapTokens, serviceAccountTokens } = deps;
  // Bootstrap tokens and those of service accounts differ in form, so that their order only decides which are found first.
  return [
    ...(tokenFile === undefined ? [] : [forThisServer(createTokenFileAuthenticator(tokenFile), deps)]),
    ...(bootstrapTokens === undefined
      ? []
      : [forThisServer(createBootstrapTokenAuthenticator({ clock, logger, tokens: bootstrapTokens }), deps)]),
    ...(serviceAccountTokens === undefined ? [] : [serviceAccountTokens]),
  ];
}

/** Tokens that name no audience are meant for this server alone, so they are not valid for other audiences. */
function forThisServer(authenticate: TokenAuthenticator, { apiAudiences }: AuthenticatorDeps): TokenAuthenticator {
  return async (token, request) => {
    const audiences = (request.audiences ?? apiAudiences).filter((audience) => apiAudiences.includes(audience));
    if (audiences.length === 0) return { kind: "none" };
    const result = await authenticate(token, request);
    return result.kind === "user" ? { ...result, audiences } : result;
  };
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
  return { kind: "failed", reason: UNKNOWN_TOKEN };
}

const UNKNOWN_TOKEN = "invalid bearer token";

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

/** The result of the method; a user comes with the certificate. */
export type CertificateResult =
  | Exclude<MethodResult, { readonly kind: "user" }>
  | { readonly kind: "user"; readonly user: UserInfo; readonly leaf: CertificateFacts };

/** A parsed and verified certificate, cached because a connection sends many requests. */
interface KnownPeer {
  readonly user: CertificateResult;
  /** The fingerprint of the CA at which the verified path ends. */
  readonly root: string | undefined;
  /** The start of the time in which every certificate of the chain is valid. */
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Creates the method. `roots` returns the CAs that are trusted at the moment; without any, certificates are ignored.
 * Results are cached per connection, but at every request the dates are checked, and that the CA is still trusted: its
 * removal must also reach open connections and resumed sessions.
 */
export function createClientCertificateAuthenticator(
  roots: () => readonly CertificateFacts[],
  options: KeyAlgorithmOptions = {},
): (peer: PeerCertificate | undefined, now: Date) => CertificateResult {
  const known = new WeakMap<PeerCertificate, KnownPeer>();
  return (peer, now) => {
    const trusted = roots();
    if (peer === undefined || trusted.length === 0) return { kind: "none" };
    if (peer.kind === "unverified") return failed(peer.reason);
    const cached = known.get(peer);
    if (
      cached !== undefined && now >= cached.notBefore && now <= cached.notAfter &&
      trusted.some(({ sha256Fingerprint }) => sha256Fingerprint === cached.root)
    ) {
      return cached.user;
    }
    const read = readPeer(peer.chain, trusted, now, options);
    if (!read.ok) return failed(read.error);
    known.set(peer, read.value);
    return read.value.user;
  };
}

function readPeer(
  chain: readonly Uint8Array<ArrayBuffer>[],
  roots: readonly CertificateFacts[],
  now: Date,
  { allowMlDsa = false }: KeyAlgorithmOptions,
): Result<KnownPeer, string> {
  const certificates = parsePeerChain(chain);
  if (!certificates.ok) return certificates;
  const [leaf, ...issuers] = certificates.value;
  if (leaf === undefined) return err("no certificate");
  // kube-apiserver 1.37 ends the handshake with such a certificate, because Go 1.26 does not know the key.
  if (isMlDsa(leaf.keyAlgorithm) && !allowMlDsa) {
    return err(`its key is ${leaf.keyAlgorithm}, which needs the feature MLDSA of the setting featureGates`);
  }
  // The handshake may be long ago, and the CAs that the TLS layer trusted then may be removed by now.
  const path = verifyChain(leaf, issuers, roots, { at: now, usage: "client" });
  if (!path.ok) return err(`verifying certificate SN=${leaf.serialNumber} failed: ${path.error}`);
  const dates = (pick: (certificate: CertificateFacts) => Date) => path.value.map((one) => pick(one).getTime());
  const identified = identifyCertificate(leaf);
  return ok({
    user: identified.kind === "user" ? { ...identified, leaf } : identified,
    root: path.value.at(-1)?.sha256Fingerprint,
    notBefore: new Date(Math.max(...dates(({ notBefore }) => notBefore))),
    notAfter: new Date(Math.min(...dates(({ notAfter }) => notAfter))),
  });
}

function failed(reason: string): CertificateResult {
  return { kind: "failed", reason: `client certificate: ${reason}` };
}
