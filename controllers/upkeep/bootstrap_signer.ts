/** Keeps the signatures in `kube-public/cluster-info` (`pkg/controller/bootstrap/bootstrapsigner.go`). */
import { signClusterInfo } from "../../core/token/cluster_info_signatures.ts";
import type { ConfigMap, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { Clock, Logger, ObjectStore } from "../../core/ports.ts";
import { DONE, type Reconcile } from "../engine/loop.ts";

export interface BootstrapSignerDeps {
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
