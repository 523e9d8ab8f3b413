/**
 * Bearer tokens: the Authorization header (`apiserver/pkg/authentication/request/bearertoken/bearertoken.go`), and the
 * authenticators for bootstrap tokens and for the tokens of a static token file.
 */
import { formatTokenProof, readTokenProof } from "../../core/attestation/proof.ts";
import { decideTokenBearer, type TokenRefusal } from "../../core/token/bound_token.ts";
import { decideTokenSecret, parseBootstrapToken, toTokenSecretName } from "../../core/token/token_secret.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { REVOKED_WITHIN_MS, type TokenAuthenticator } from "./authentication.ts";
import { createHash } from "node:crypto";
import type { TokenFile } from "../../core/token/token_file.ts";
import type { UserInfo } from "../../core/kube/user.ts";

/** Dependencies of the authenticator for bootstrap tokens. */
export interface BootstrapTokenDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokens: {
    /**
     * Reads a Secret of the namespace kube-system in its newest state, or in one that was the newest at most `withinMs`
     * milliseconds before the call, which is usually known already.
     */
    getSecret(name: string, withinMs?: number): Promise<SecretObject | undefined>;
    /** Learns the id of a token that has authenticated a client; the address is undefined in a TokenReview. */
    onUsed?(tokenId: string, address: string | undefined): void;
    /** Learns the id of a token whose limits refused its holder. */
    onRefused?(tokenId: string, refusal: TokenRefusal, address: string | undefined): void;
  };
}

/**
 * Creates the authenticator for bootstrap tokens. It ignores text of another form and logs every other refusal. A token that
 * another server has deleted is accepted for at most `REVOKED_WITHIN_MS`, and none is refused before its Secret was read in
 * its newest state. When that fails it throws AppError `unreachable` instead of refusing the token: the same token may be
 * accepted a moment later, and clients stop after a refusal.
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

/** The annotation of the audit log for what the holder of a token has proven. */
const PROOF_AUDIT_ANNOTATION = "authentication.tlsboot/attested";

/**
 * Creates the authenticator for a token file that was read at start. It looks tokens up by their hash, so that the time of
 * a lookup reveals nothing about a token.
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
  return createHash("sha256").update(token, "utf8").digest("base64");
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
