/** Bootstrap tokens: the Secret is read at every request, so that a deleted token ends at once. */
import { parseBootstrapToken } from "../../core/bootstrap/token.ts";
import { decideTokenSecret, tokenSecretName } from "../../core/bootstrap/token_secret.ts";
import { messageOf } from "../../core/errors.ts";
import type { Secret } from "../../core/kube/core_v1.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import type { TokenAuthenticator } from "./authentication.ts";

/** Dependencies. `getSecret` looks in namespace kube-system. */
export interface BootstrapTokenDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  getSecret(name: string): Promise<Secret | undefined>;
}

/** Builds the authenticator: text of another form is not its business, every other failure is logged and is no user. */
export function createBootstrapTokenAuthenticator(deps: BootstrapTokenDeps): TokenAuthenticator {
  return async (text) => {
    const token = parseBootstrapToken(text);
    if (!token.ok) return { kind: "none" };
    let secret: Secret | undefined;
    try {
      secret = await deps.getSecret(tokenSecretName(token.value.id));
    } catch (error) {
      return { kind: "failed", reason: `bootstrap token: ${messageOf(error)}` };
    }
    const identity = decideTokenSecret(secret, token.value, deps.clock.now());
    if (!identity.ok) {
      deps.logger.info("bootstrap token refused", { tokenId: token.value.id, reason: identity.error });
      return { kind: "none" };
    }
    return { kind: "user", user: { ...identity.value, uid: "", extra: {} } };
  };
}
