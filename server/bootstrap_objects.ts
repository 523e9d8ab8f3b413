/**
 * What must exist before the first request: the system namespaces, and the default roles and bindings, which are
 * reconciled at each start (`bootstrappolicy`, `auth.md` section 7).
 */
import { formatTime, type KubeObject, nameOf } from "../core/kube/meta.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import { createUid } from "./registry/registry.ts";
import { withMeta } from "./registry/write.ts";
import type { Storage } from "./storage/storage.ts";

/** An object to have, under its key. */
export interface BootstrapObject {
  readonly key: string;
  readonly object: KubeObject;
  /** The object to store when one exists already; undefined when it is good as it is. */
  reconcile(existing: KubeObject): KubeObject | undefined;
}

/** Namespaces that always exist. */
export const SYSTEM_NAMESPACES: readonly string[] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/** Creates what is missing and mends what has changed. Runs before anybody is served. */
export async function reconcileObjects(
  deps: { readonly storage: Storage; readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  wanted: readonly BootstrapObject[],
): Promise<void> {
  for (const { key, object, reconcile } of wanted) {
    const existing = await deps.storage.get(key);
    if (existing === undefined) {
      await deps.storage.create(
        key,
        withMeta(object, { uid: createUid(deps.random), creationTimestamp: formatTime(deps.clock.now()) }),
      );
      continue;
    }
    const mended = reconcile(existing.object);
    if (mended === undefined) continue;
    deps.logger.info("default object mended", { key, name: nameOf(object) });
    await deps.storage.update(key, mended, existing.revision);
  }
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
    reconcile: () => undefined,
  }));
}
