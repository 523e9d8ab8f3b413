/** Bootstrap tokens: the Secret is read at every request, so that a deleted token ends at once. */
import { parseBootstrapToken } from "../../core/bootstrap/token.ts";
import { decideTokenSecret, tokenSecretName } from "../../core/bootstrap/token_secret.ts";
import { AppError, messageOf } from "../../core/errors.ts";
import type { Secret } from "../../core/kube/core_v1.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import type { TokenAuthenticator } from "./authentication.ts";

/** Dependencies. `getSecret` looks in namespace kube-system. */
export interface BootstrapTokenDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  getSecret(name: string): Promise<Secret | undefined>;
}

/**
 * Builds the authenticator: text of another form is not its business, every other refusal is logged and is no user.
 * Where the Secret cannot be read nothing is known of the token, which is no refusal: a client takes that for an end.
 * Throws AppError `unreachable` whatever was in the way: the same token may be good a moment later.
 */
export function createBootstrapTokenAuthenticator(deps: BootstrapTokenDeps): TokenAuthenticator {
  return async (text) => {
    const token = parseBootstrapToken(text);
    if (!token.ok) return { kind: "none" };
    const secret = await deps.getSecret(tokenSecretName(token.value.id)).catch((error: unknown) => {
      deps.logger.warn("bootstrap token not known", { tokenId: token.value.id, reason: messageOf(error) });
      // What is behind us is not a stranger's business.
      throw new AppError("unreachable", "cannot read bootstrap tokens", { cause: error, retryable: true });
    });
    const identity = decideTokenSecret(secret, token.value, deps.clock.now());
    if (!identity.ok) {
      deps.logger.info("bootstrap token refused", { tokenId: token.value.id, reason: identity.error });
      return { kind: "none" };
    }
    return { kind: "user", user: { ...identity.value, uid: "", extra: {} } };
  };
}
