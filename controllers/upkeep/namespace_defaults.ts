/**
 * Creates the defaults of each namespace: the service account `default`, and a config map with the CA bundle of the API
 * server.
 */
import { isAppError } from "../../core/errors.ts";
import type { ConfigMap, Namespace, ServiceAccount } from "../../core/kube/kinds/core_v1.ts";
import { planRootCa, ROOT_CA_NAME } from "../../core/kube/rules/namespaces.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import type { Logger, ObjectStore } from "../../core/ports.ts";
import { CONTROLLER_MANAGER_WAIT_MS, type ControllerManager } from "./controller_manager.ts";
import { DONE, type Reconcile } from "../engine/loop.ts";

export const DEFAULT_SERVICE_ACCOUNT = "default";

export interface ServiceAccountControllerDeps {
  accountsIn(namespace: string): Pick<ObjectStore<ServiceAccount>, "get" | "create">;
  readonly logger: Logger;
}

/** Creates the controller of namespaces; changes of their `default` accounts trigger it. */
export function createServiceAccountController(
  deps: ServiceAccountControllerDeps,
): { readonly reconcile: Reconcile<Namespace> } {
  return {
    async reconcile(name, namespace, signal) {
      if (namespace?.status.phase !== "Active") return DONE;
      const accounts = deps.accountsIn(name);
      if (await accounts.get(DEFAULT_SERVICE_ACCOUNT, signal) !== undefined) return DONE;
      try {
        await accounts.create({ metadata: { name: DEFAULT_SERVICE_ACCOUNT, namespace: name } }, signal);
        deps.logger.debug("default service account created", { namespace: name });
      } catch (error) {
        if (!isAppError(error, "already_exists") && !isNamespaceTerminating(error)) throw error;
      }
      return DONE;
    },
  };
}

export interface RootCaPublisherDeps {
  configMapsIn(namespace: string): Pick<ObjectStore<ConfigMap>, "get" | "create" | "update">;
  /** A kube-controller-manager publishes its own CA (`--root-ca-file`), and two publishers would overwrite each other. */
  readonly controllerManager: ControllerManager;
  /** Returns the present CA bundle of the API server, as PEM. */
  readonly caPem: () => string;
  readonly logger: Logger;
}

/** Creates the publisher, a controller of namespaces; changes of config maps named `kube-root-ca.crt` trigger it. */
export function createRootCaPublisher(deps: RootCaPublisherDeps): { readonly reconcile: Reconcile<Namespace> } {
  return {
    async reconcile(name, namespace, signal) {
      if (namespace?.status.phase !== "Active") return DONE;
      const configMaps = deps.configMapsIn(name);
      const plan = planRootCa(await configMaps.get(ROOT_CA_NAME, signal), name, deps.caPem());
      if (plan.kind === "none") return DONE;
      if (await deps.controllerManager.isActive(signal)) {
        return { kind: "requeueAfter", ms: CONTROLLER_MANAGER_WAIT_MS };
      }
      try {
        if (plan.kind === "create") await configMaps.create(plan.configMap, signal);
        else await configMaps.update(plan.configMap, signal);
        deps.logger.debug("CA bundle published", { namespace: name, action: plan.kind });
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
      return DONE;
    },
  };
}

/** True for the error of a creation in a namespace that is being deleted or gone, which is not worth a retry. */
function isNamespaceTerminating(error: unknown): boolean {
  if (isAppError(error, "not_found")) return true;
  if (!(error instanceof StatusError)) return false;
  return (error.status.details?.causes ?? []).some(({ reason }) => reason === "NamespaceTerminating");
}
