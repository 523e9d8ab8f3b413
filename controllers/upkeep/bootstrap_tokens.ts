/**
 * The controllers of bootstrap tokens (`pkg/controller/bootstrap`): one signs `kube-public/cluster-info` with each
 * token, the other deletes expired tokens.
 */
import { signClusterInfo } from "../../core/token/cluster_info.ts";
import { decideTokenCleaning } from "../../core/token/token_secret.ts";
import { isAppError } from "../../core/errors.ts";
import type { ConfigMap, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { Clock, Logger, ObjectStore } from "../../core/ports.ts";
import { DONE, type Reconcile } from "../engine/loop.ts";

interface BootstrapSignerDeps {
  /** The config maps of namespace `kube-public`. */
  readonly configMaps: Pick<ObjectStore<ConfigMap>, "update">;
  /** The secrets of namespace `kube-system`, at least those of bootstrap tokens. */
  readonly secrets: Pick<ObjectStore<SecretObject>, "list">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Creates the signer, a controller of `cluster-info`; changes of bootstrap tokens trigger it. */
export function createBootstrapSigner(deps: BootstrapSignerDeps): { readonly reconcile: Reconcile<ConfigMap> } {
  return {
    async reconcile(name, map, signal) {
      if (map === undefined) return DONE;
      const signed = signClusterInfo(map, await deps.secrets.list(signal), deps.clock.now());
      if (signed === undefined) return DONE;
      await deps.configMaps.update(signed, signal);
      deps.logger.debug("cluster-info signed", { configMap: name });
      return DONE;
    },
  };
}

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
        // The Secret has already been deleted, or replaced by one that is reconciled separately.
        if (!isAppError(error, "not_found", "conflict")) throw error;
      }
      return DONE;
    },
  };
}
