/** Keeps the CA bundle of the API server in each namespace (`pkg/controller/certificates/rootcacertpublisher`). */
import type { ConfigMap, Namespace } from "../core/kube/core_v1.ts";
import { planRootCa, ROOT_CA_NAME } from "../core/kube/root_ca.ts";
import type { Logger, ObjectStore } from "../core/ports.ts";
import { CONTROLLER_MANAGER_WAIT_MS, type ControllerManager } from "./controller_manager.ts";
import { isNamespaceTerminating } from "./namespace_terminating.ts";
import { DONE, type Outcome, type Reconcile } from "./loop.ts";

/** The dependencies of the root CA publisher. */
export interface RootCaPublisherDeps {
  /** Returns the config maps of one namespace. */
  configMapsIn(namespace: string): Pick<ObjectStore<ConfigMap>, "get" | "create" | "update">;
  /** A kube-controller-manager publishes its own CA (`--root-ca-file`), and two publishers would overwrite each other. */
  readonly controllerManager: ControllerManager;
  /** The CA bundle of the API server, as PEM. */
  readonly caPem: string;
  readonly logger: Logger;
}

/** Creates the publisher, a controller of namespaces; changes of config maps named `kube-root-ca.crt` trigger it. */
export function createRootCaPublisher(deps: RootCaPublisherDeps): { readonly reconcile: Reconcile<Namespace> } {
  async function reconcile(name: string, namespace: Namespace | undefined, signal: AbortSignal): Promise<Outcome> {
    if (namespace?.status.phase !== "Active") return DONE;
    const configMaps = deps.configMapsIn(name);
    const plan = planRootCa(await configMaps.get(ROOT_CA_NAME, signal), name, deps.caPem);
    if (plan.kind === "none") return DONE;
    if (await deps.controllerManager.isActive(signal)) return { kind: "requeueAfter", ms: CONTROLLER_MANAGER_WAIT_MS };
    try {
      if (plan.kind === "create") await configMaps.create(plan.configMap, signal);
      else await configMaps.update(plan.configMap, signal);
      deps.logger.debug("CA bundle published", { namespace: name, action: plan.kind });
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
    return DONE;
  }

  return { reconcile };
}
