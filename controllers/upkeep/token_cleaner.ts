/** Deletes bootstrap tokens when they expire (`pkg/controller/bootstrap/tokencleaner.go`). */
import { decideTokenCleaning } from "../../core/token/token_secret.ts";
import { isAppError } from "../../core/errors.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { Clock, Logger, ObjectStore } from "../../core/ports.ts";
import { DONE, type Reconcile } from "../engine/loop.ts";

/** The dependencies of the token cleaner. */
export interface TokenCleanerDeps {
  /** The secrets of namespace `kube-system`. */
  readonly store: ObjectStore<SecretObject>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Creates the token cleaner; run its `reconcile` with `runController`. */
export function createTokenCleaner(deps: TokenCleanerDeps): { readonly reconcile: Reconcile<SecretObject> } {
  return {
    async reconcile(name, secret, signal) {
      if (secret === undefined) return DONE;
      const cleaning = decideTokenCleaning(secret, deps.clock.now());
      if (cleaning.kind === "keep") return DONE;
      if (cleaning.kind === "later") return { kind: "requeueAfter", ms: cleaning.ms };
      const { uid } = secret.metadata;
      try {
        await deps.store.delete(name, signal, uid === undefined ? {} : { uid });
        deps.logger.info("expired bootstrap token deleted", { secret: name });
      } catch (error) {
        // The secret has already been deleted, or replaced by another one, which is reconciled separately.
        if (!isAppError(error, "not_found", "conflict")) throw error;
      }
      return DONE;
    },
  };
}
