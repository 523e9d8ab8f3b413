/**
 * The chain of authenticators (`pkg/kubeapiserver/authenticator/config.go`): client certificate, then bearer token
 * (token file, bootstrap tokens, service accounts), then anonymous. The first success wins; an invalid credential is
 * never downgraded to anonymous. The TLS layer verified the chain of a client certificate at the handshake; each request
 * checks that it is still valid (`apiserver/pkg/authentication/request/x509/x509.go`). Bearer tokens come in the header
 * Authorization (`apiserver/pkg/authentication/request/bearertoken/bearertoken.go`).
 */
import type { TokenFile } from "../../core/token/token_file.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { verifyChain } from "../../core/pki/x509/chain.ts";
import { isMlDsa, type KeyAlgorithmOptions } from "../../core/pki/keys/key_names.ts";
import { ANONYMOUS_USER, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, type UserInfo } from "../../core/kube/user.ts";
import { goQuote } from "../../core/lib/go_text.ts";
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
  REVOKED_WITHIN_MS,
  type TokenAuthenticator,
} from "./authentication.ts";
import type { NodeRecovery } from "./node_recovery.ts";
import type { Revocations } from "../revocation/revocations.ts";
import { formatTokenProof, readTokenProof } from "../../core/attestation/proof.ts";
import { decideTokenBearer, type TokenRefusal } from "../../core/token/bound_token.ts";
import { decideTokenSecret, parseBootstrapToken, toTokenSecretName } from "../../core/token/token_secret.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { hash } from "node:crypto";

/** Dependencies of the authenticator, and the methods that are enabled. */
export interface AuthenticatorDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Returns the CAs whose client certificates are trusted now. */
  readonly clientCas: () => readonly CertificateFacts[];
  readonly tokenFile?: TokenFile | undefined;
  /** Reads the Secrets of bootstrap tokens, and is notified of their use. */
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
    const presented = refuseRevoked(deps, request, byCertificate(peerCertificate, deps.clock.now()));
    if (presented.kind === "user") {
      const reported = isRepeated ? undefined : deps.onClientCertificate?.(presented.leaf);
      if (reported !== undefined) await reported;
      return accept(presented.user, audiences);
    }
    if (presented.kind === "failed") failures.push(presented.reason);
    const { token, warning } = parseBearerToken(authorizationHeader);
    const refusal = presented.kind === "failed" && presented.isGenuine === true ? { refusal: presented.reason } : {};
    const reported = { ...(warning === undefined ? {} : { warnings: [warning] }), ...refusal };
    if (token !== undefined) {
      const tried = await tryToken(token, request, byToken);
      const result = tried.kind === "user" ? refuseRevoked(deps, request, tried) : tried;
      if (result.kind === "user") {
        const { auditAnnotations } = result;
        const accepted = accept(result.user, result.audiences ?? audiences);
        return auditAnnotations === undefined ? accepted : { ...accepted, auditAnnotations };
      }
      // Like kube-apiserver, report a refused token of this server's issuer first as unknown, then with the reason.
      if (result.isGenuine !== true && result.reason !== UNKNOWN_TOKEN) failures.push(UNKNOWN_TOKEN);
      failures.push(result.reason);
      return withoutUser(deps, failures, {
        ...reported,
        ...(result.isGenuine === true ? { refusal: result.reason } : {}),
      });
    }
    if (presented.kind === "failed" && peerCertificate !== undefined && deps.nodeRecovery !== undefined) {
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

/** Finds the certificate of a user. For a recovering node, only the fingerprint is known. */
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
  // Bootstrap tokens and service account tokens differ in form, so their order affects only the speed.
  return [
    ...(tokenFile === undefined ? [] : [forThisServer(createTokenFileAuthenticator(tokenFile), deps)]),
    ...(bootstrapTokens === undefined
      ? []
      : [forThisServer(createBootstrapTokenAuthenticator({ clock, logger, tokens: bootstrapTokens }), deps)]),
    ...(serviceAccountTokens === undefined ? [] : [serviceAccountTokens]),
  ];
}

/** Tokens without an audience are meant for this server alone, so they are not valid for other audiences. */
function forThisServer(authenticate: TokenAuthenticator, { apiAudiences }: AuthenticatorDeps): TokenAuthenticator {
  return async (token, request) => {
    const audiences = (request.audiences ?? apiAudiences).filter((audience) => apiAudiences.includes(audience));
    if (audiences.length === 0) return { kind: "none" };
    const result = await authenticate(token, request);
    return result.kind === "user" ? { ...result, audiences } : result;
  };
}

/** Tries one authenticator after another; an unknown token is a failure. */
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

/** The result of the certificate method, which returns a user together with the certificate. */
type CertificateResult =
  | Exclude<MethodResult, { readonly kind: "user" }>
  | { readonly kind: "user"; readonly user: UserInfo; readonly leaf: CertificateFacts };

/** A parsed and verified certificate, cached because a connection sends many requests. */
interface KnownPeer {
  readonly result: CertificateResult;
  /** The fingerprint of the CA at which the verified path ends. */
  readonly root: string | undefined;
  /** The latest `notBefore` of the chain. */
  readonly notBefore: Date;
  /** The earliest `notAfter` of the chain. */
  readonly notAfter: Date;
}

/**
 * Creates the certificate method. `roots` returns the CAs that are trusted now; without any, certificates are ignored.
 * Results are cached per connection, but every request checks the dates and that the CA is still trusted, because the
 * removal of a CA must also affect open connections and resumed sessions.
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
      return cached.result;
    }
    const read = readPeer(peer.chain, trusted, now, options);
    if (!read.ok) return failed(read.error);
    known.set(peer, read.value);
    return read.value.result;
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
  // The CAs that the TLS layer trusted at the handshake may have been removed since.
  const path = verifyChain(leaf, issuers, roots, { at: now, usage: "client" });
  if (!path.ok) return err(`verifying certificate SN=${leaf.serialNumber} failed: ${path.error}`);
  const dates = (pick: (certificate: CertificateFacts) => Date) =>
    path.value.map((certificate) => pick(certificate).getTime());
  const identified = identifyCertificate(leaf);
  return ok({
    result: identified.kind === "user" ? { ...identified, leaf } : identified,
    root: path.value.at(-1)?.sha256Fingerprint,
    notBefore: new Date(Math.max(...dates(({ notBefore }) => notBefore))),
    notAfter: new Date(Math.min(...dates(({ notAfter }) => notAfter))),
  });
}

function failed(reason: string): CertificateResult {
  return { kind: "failed", reason: `client certificate: ${reason}` };
}

/** Dependencies of the authenticator for bootstrap tokens. */
export interface BootstrapTokenDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokens: {
    /**
     * Reads a Secret of the namespace kube-system as it is now, or as it was at most `withinMs` milliseconds ago, which
     * usually needs no request to the store.
     */
    getSecret(name: string, withinMs?: number): Promise<SecretObject | undefined>;
    /** Called when a token has authenticated a client; the address is undefined in a TokenReview. */
    onUsed?(tokenId: string, address: string | undefined): void;
    /** Called when the limits of a token have refused a client. */
    onRefused?(tokenId: string, refusal: TokenRefusal, address: string | undefined): void;
  };
}

/**
 * Creates the authenticator for bootstrap tokens. It ignores text that is not a bootstrap token, and logs every
 * refusal. A token that another server has deleted is accepted for at most `REVOKED_WITHIN_MS`. No token is refused
 * before the newest state of its Secret has been read. If that fails, it throws AppError `unreachable` instead, because
 * the token may be accepted a moment later, and clients give up after a refusal.
 */
export function createBootstrapTokenAuthenticator(
  { clock, logger, tokens }: BootstrapTokenDeps,
): TokenAuthenticator {
  return async (text, { remoteAddress, isRepeated = false }) => {
    const token = parseBootstrapToken(text);
    if (!token.ok) return { kind: "none" };
    const { id } = token.value;
    const decide = async (withinMs: number) => {
      const secret = await tokens.getSecret(toTokenSecretName(id), withinMs);
      const identity = decideTokenSecret(secret, token.value, clock.now());
      return { secret, identity, refusal: identity.ok ? decideTokenBearer(secret, remoteAddress) : undefined };
    };
    const { secret, identity, refusal } = await decide(REVOKED_WITHIN_MS)
      .then((known) => known.identity.ok && known.refusal === undefined ? known : decide(0))
      .catch((error: unknown) => {
        logger.warn("bootstrap token not read", { tokenId: id, reason: getErrorMessage(error) });
        // The message has no details, because the client is not authenticated.
        throw new AppError("unreachable", "cannot read bootstrap tokens", { cause: error, retryable: true });
      });
    if (!identity.ok) {
      logger.info("bootstrap token refused", { tokenId: id, reason: identity.error });
      return { kind: "none" };
    }
    if (refusal !== undefined) {
      if (!isRepeated) tokens.onRefused?.(id, refusal, remoteAddress);
      return { kind: "failed", reason: `bootstrap token ${id}: ${refusal.message}`, isGenuine: true };
    }
    if (!isRepeated) tokens.onUsed?.(id, remoteAddress);
    const user = { ...identity.value, uid: "", extra: {} };
    const proof = secret && readTokenProof(secret);
    if (proof === undefined) return { kind: "user", user };
    return { kind: "user", user, auditAnnotations: { [PROOF_AUDIT_ANNOTATION]: formatTokenProof(proof) } };
  };
}

/** The audit annotation with the proof for which a token was issued. */
const PROOF_AUDIT_ANNOTATION = "authentication.tlsboot/attested";

/**
 * Creates the authenticator for a token file. It looks tokens up by their hash, so that the time of a lookup reveals
 * nothing about a token.
 */
export function createTokenFileAuthenticator(file: TokenFile): TokenAuthenticator {
  const users = new Map<string, UserInfo>(file.entries.map(({ token, username, uid, groups }) => [
    hashToken(token.reveal()),
    { username, uid, groups, extra: {} },
  ]));
  return (token) => {
    const user = users.get(hashToken(token));
    return Promise.resolve(user === undefined ? { kind: "none" } : { kind: "user", user });
  };
}

function hashToken(token: string): string {
  return hash("sha256", token, "base64");
}

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
