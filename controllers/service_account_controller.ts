/** Creates the service account `default` in each namespace (`pkg/controller/serviceaccount/serviceaccounts_controller.go`). */
import { isAppError } from "../core/errors.ts";
import type { Namespace, ServiceAccount } from "../core/kube/core_v1.ts";
import type { Logger, ObjectStore } from "../core/ports.ts";
import { isNamespaceTerminating } from "./namespace_terminating.ts";
import { DONE, type Outcome, type Reconcile } from "./loop.ts";

/** The name of the service account that each namespace has. */
export const DEFAULT_SERVICE_ACCOUNT = "default";

/** The dependencies of the service account controller. */
export interface ServiceAccountControllerDeps {
  /** Returns the service accounts of one namespace. */
  accountsIn(namespace: string): Pick<ObjectStore<ServiceAccount>, "get" | "create">;
  readonly logger: Logger;
}

/** Creates the controller of namespaces; changes of their `default` accounts trigger it. */
export function createServiceAccountController(
  deps: ServiceAccountControllerDeps,
): { readonly reconcile: Reconcile<Namespace> } {
  async function reconcile(name: string, namespace: Namespace | undefined, signal: AbortSignal): Promise<Outcome> {
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
  }

  return { reconcile };
}
