/**
 * The controllers of namespaces. Each active namespace gets its defaults: the service account `default`, and a config map
 * with the CA bundle of the API server. One that is being deleted is emptied, then finalized (`pkg/controller/namespace`).
 */
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { ConfigMap, Namespace, ServiceAccount } from "../../core/kube/kinds/core_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import {
  type DeletionReport,
  NAMESPACE_FINALIZER,
  planRootCa,
  type RemainingContent,
  ROOT_CA_NAME,
  updateDeletionConditions,
} from "../../core/kube/rules/namespaces.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { Clock, Logger, ObjectStore } from "../../core/ports.ts";
import { CONTROLLER_MANAGER_WAIT_MS, type ControllerManager } from "../engine/leader_election.ts";
import { DONE, type Outcome, type Reconcile, retry } from "../engine/loop.ts";
import { StatusError } from "../../core/kube/status/status.ts";

/** Access to the objects of all kinds in a namespace. */
export interface NamespaceContent {
  /** The served namespaced kinds whose collections can be deleted. */
  readonly kinds: readonly Kind[];
  deleteCollection(kind: Kind, namespace: string, signal: AbortSignal): Promise<void>;
  list(kind: Kind, namespace: string, signal: AbortSignal): Promise<readonly KubeObject[]>;
  /**
   * Counts the objects in a namespace of a store that other API servers share, whether they are served here or not. Empty
   * for a store that only this server writes to.
   */
  stored(namespace: string, signal: AbortSignal): Promise<readonly Omit<RemainingContent, "finalizers">[]>;
}

interface NamespaceControllerDeps {
  readonly namespaces: ObjectStore<Namespace>;
  readonly content: NamespaceContent;
  readonly controllerManager: ControllerManager;
  /** Whether other API servers serve the same namespaces. */
  readonly isShared: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long to wait for finalizers before the next check: half of upstream's estimate of 15 s, plus one second. */
const FINALIZERS_WAIT_MS = 8_000;

/**
 * How long to wait until other API servers have observed the deletion of a namespace (`namespaceDeletionGracePeriod`).
 */
const GRACE_PERIOD_MS = 5_000;

/**
 * Creates the controller that empties and finalizes namespaces; run its `reconcile` with `runController`. It does nothing
 * while a kube-controller-manager is active, or while the store holds objects in the namespace that this API does not serve:
 * finalizing such a namespace would leave them behind forever.
 */
export function createNamespaceController(deps: NamespaceControllerDeps): { readonly reconcile: Reconcile<Namespace> } {
  const { namespaces, controllerManager, isShared, clock, logger } = deps;
  /** When the deletion of each namespace was first observed, in elapsed milliseconds. */
  const seen = new Map<string, number>();

  async function reconcile(name: string, cached: Namespace | undefined, signal: AbortSignal): Promise<Outcome> {
    if (cached?.metadata.deletionTimestamp === undefined) {
      seen.delete(name);
      return DONE;
    }
    const graceMs = isShared ? remainingGrace(name) : 0;
    if (graceMs > 0) return { kind: "requeueAfter", ms: graceMs };
    const current = await namespaces.get(name, signal);
    if (current?.metadata.deletionTimestamp === undefined) return DONE;
    if (await controllerManager.isActive(signal)) return { kind: "requeueAfter", ms: CONTROLLER_MANAGER_WAIT_MS };
    const namespace = await markTerminating(current, signal);
    if ((namespace.spec.finalizers ?? []).length === 0) return DONE;
    const report = await empty(deps, name, signal);
    const observed = await writeConditions(namespace, report, signal);
    if (report.deletionFailures.length > 0) return retry(report.deletionFailures.join(", "));
    if (report.remaining.length > 0) return { kind: "requeueAfter", ms: FINALIZERS_WAIT_MS };
    await finalize(observed, signal);
    return DONE;
  }

  function remainingGrace(name: string): number {
    const now = clock.elapsedMs();
    const since = seen.get(name) ?? now;
    seen.set(name, since);
    return since + GRACE_PERIOD_MS - now;
  }

  async function markTerminating(namespace: Namespace, signal: AbortSignal): Promise<Namespace> {
    if (namespace.status.phase === "Terminating") return namespace;
    const terminating = { ...namespace, status: { ...namespace.status, phase: "Terminating" } };
    return await namespaces.update(terminating, signal, "status");
  }

  /** Writes the conditions. A failure is logged and does not stop the deletion, because conditions only inform people. */
  async function writeConditions(namespace: Namespace, report: DeletionReport, signal: AbortSignal) {
    const conditions = updateDeletionConditions(namespace.status.conditions ?? [], report, clock.now());
    if (conditions === undefined) return namespace;
    try {
      return await namespaces.update({ ...namespace, status: { ...namespace.status, conditions } }, signal, "status");
    } catch (error) {
      if (!isAppError(error)) throw error;
      logger.warn("conditions of a namespace not written", {
        namespace: getName(namespace),
        error: getErrorMessage(error),
      });
      return namespace;
    }
  }

  async function finalize(namespace: Namespace, signal: AbortSignal): Promise<void> {
    const finalizers = (namespace.spec.finalizers ?? []).filter((name) => name !== NAMESPACE_FINALIZER);
    try {
      await namespaces.update({ ...namespace, spec: { finalizers } }, signal, "finalize");
      logger.info("namespace emptied", { namespace: getName(namespace) });
    } catch (error) {
      if (!isAppError(error, "not_found")) throw error;
    }
  }

  return { reconcile };
}

async function empty(deps: NamespaceControllerDeps, namespace: string, signal: AbortSignal): Promise<DeletionReport> {
  const { content } = deps;
  const deletionFailures: string[] = [];
  const remaining: RemainingContent[] = [];
  const unserved = (await content.stored(namespace, signal)).filter((stored) =>
    !content.kinds.some(({ group, plural }) => stored.group === group && stored.resource === plural)
  );
  // Running pods may need the config maps and secrets, so nothing is deleted until everything can be deleted.
  if (unserved.length > 0) return { deletionFailures, remaining: unserved.map(withoutFinalizers) };
  for (const kind of content.kinds) {
    try {
      await content.deleteCollection(kind, namespace, signal);
      const rest = await content.list(kind, namespace, signal);
      if (rest.length === 0) continue;
      const finalizers = rest.flatMap(({ metadata }) => metadata.finalizers ?? []);
      remaining.push({ group: kind.group, resource: kind.plural, count: rest.length, finalizers });
      // No finalizer holds these objects, so they should have been deleted.
      if (finalizers.length === 0) deletionFailures.push(unexpectedRest(namespace, kind));
    } catch (error) {
      if (!isAppError(error)) throw error;
      deletionFailures.push(getErrorMessage(error));
    }
  }
  // A value that cannot be read, because kube-apiserver encrypted it, is not served either.
  if (remaining.length === 0) remaining.push(...(await content.stored(namespace, signal)).map(withoutFinalizers));
  return { deletionFailures, remaining };
}

function withoutFinalizers(stored: Omit<RemainingContent, "finalizers">): RemainingContent {
  return { ...stored, finalizers: [] };
}

function unexpectedRest(namespace: string, { group, version, plural }: Kind): string {
  return `unexpected items still remain in namespace: ${namespace} for gvr: ${group}/${version}, Resource=${plural}`;
}

export const DEFAULT_SERVICE_ACCOUNT = "default";

interface ServiceAccountControllerDeps {
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

interface RootCaPublisherDeps {
  configMapsIn(namespace: string): Pick<ObjectStore<ConfigMap>, "get" | "create" | "update">;
  /** A kube-controller-manager publishes its own CA (`--root-ca-file`), and two publishers would overwrite each other. */
  readonly controllerManager: ControllerManager;
  /** Returns the current CA bundle of the API server, as PEM. */
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
