/**
 * What must exist before the first request: the system namespaces, and the default roles and bindings, which are
 * reconciled at each start (`bootstrappolicy`, `auth.md` section 7).
 */
import { formatTime, type KubeObject, nameOf } from "../core/kube/meta.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { ReconcilePlan } from "../core/rbac/reconcile.ts";
import { createUid } from "./registry/registry.ts";
import { withMeta } from "./registry/write.ts";
import type { Storage } from "./storage/storage.ts";

/** An object to have, under its key. */
export interface BootstrapObject {
  readonly key: string;
  readonly object: KubeObject;
  /** What to do with one that exists. */
  plan(existing: KubeObject): ReconcilePlan<KubeObject>;
}

/** Namespaces that always exist. */
export const SYSTEM_NAMESPACES: readonly string[] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/** Creates what is missing and mends what has changed. Runs before anybody is served. */
export async function reconcileObjects(
  deps: { readonly storage: Storage; readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  wanted: readonly BootstrapObject[],
): Promise<void> {
  await Promise.all(wanted.map(async ({ key, object, plan }) => {
    const existing = await deps.storage.get(key);
    if (existing === undefined) {
      await deps.storage.create(key, born(deps, object));
      return;
    }
    const planned = plan(existing.object);
    if (planned.kind === "none") return;
    deps.logger.info("default object mended", { key, name: nameOf(object), action: planned.kind });
    if (planned.kind === "update") {
      await deps.storage.update(key, planned.object, existing.revision);
      return;
    }
    await deps.storage.delete(key, existing.revision);
    await deps.storage.create(key, born(deps, planned.object));
  }));
}

function born(deps: { readonly clock: Clock; readonly random: Random }, object: KubeObject): KubeObject {
  return withMeta(object, { uid: createUid(deps.random), creationTimestamp: formatTime(deps.clock.now()) });
}

/** The system namespaces as bootstrap objects. */
export function systemNamespaces(): readonly BootstrapObject[] {
  return SYSTEM_NAMESPACES.map((name) => ({
    key: `/registry/namespaces/${name}`,
    object: {
      metadata: { name, labels: { "kubernetes.io/metadata.name": name } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    } as KubeObject,
    plan: () => ({ kind: "none" }),
  }));
}
