/**
 * What must exist before the first request: the system namespaces, and the default roles and bindings, which are
 * reconciled at each start (`bootstrappolicy`, `auth.md` section 7).
 */
import { isAppError } from "../core/errors.ts";
import { namespaceKind } from "../core/kube/kinds/mod.ts";
import { createManagedEndpoint } from "../core/kube/managed_fields/endpoint.ts";
import { trackUpdate } from "../core/kube/managed_fields/track_update.ts";
import { formatTime, getName, type KubeObject } from "../core/kube/meta.ts";
import type { Kind } from "../core/kube/schema.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { ReconcilePlan } from "../core/rbac/reconcile.ts";
import { createUid } from "./registry/registry.ts";
import { withMeta } from "./registry/write.ts";
import { type Storage, WriteRefusedError } from "./storage/storage.ts";

/** An object to have, under its key. */
export interface BootstrapObject {
  readonly key: string;
  readonly kind: Kind;
  readonly object: KubeObject;
  /** Dotted paths that kube-apiserver fills in by itself, so that nobody owns them. */
  readonly stamped?: readonly string[];
  /** What to do with one that exists. */
  plan(existing: KubeObject): ReconcilePlan<KubeObject>;
}

/** Namespaces that always exist. */
export const SYSTEM_NAMESPACES: readonly string[] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/** What writing them takes. */
export interface ReconcileDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Who writes them, as `managedFields` says. */
const MANAGER = "kube-apiserver";

/** Somebody else may write the same objects at the same moment: another server on the same store. */
const ATTEMPTS = 5;

/** Creates what is missing and mends what has changed. Runs before anybody is served. */
export async function reconcileObjects(deps: ReconcileDeps, wanted: readonly BootstrapObject[]): Promise<void> {
  await Promise.all(wanted.map(async (item) => {
    for (let attempt = 1;; attempt++) {
      try {
        return await reconcileObject(deps, item);
      } catch (error) {
        if (error instanceof WriteRefusedError) {
          // What is there already must be served, also by a store that is full.
          deps.logger.error("default object not written", { key: item.key, error });
          return;
        }
        const isRace = isAppError(error, "already_exists") || isAppError(error, "conflict");
        if (!isRace || attempt === ATTEMPTS) throw error;
      }
    }
  }));
}

async function reconcileObject(deps: ReconcileDeps, item: BootstrapObject): Promise<void> {
  const { key, object, plan } = item;
  const existing = await deps.storage.get(key);
  if (existing === undefined) {
    await deps.storage.create(key, withIdentity(deps, item, object));
    return;
  }
  const planned = plan(existing.object);
  if (planned.kind === "none") return;
  deps.logger.info("default object mended", { key, name: getName(object), action: planned.kind });
  if (planned.kind === "update") {
    await deps.storage.update(key, withOwner(deps, item, existing.object, planned.object), existing.revision);
    return;
  }
  await deps.storage.delete(key, existing.revision);
  await deps.storage.create(key, withIdentity(deps, item, planned.object));
}

function withIdentity(deps: ReconcileDeps, item: BootstrapObject, object: KubeObject): KubeObject {
  return withMeta(withOwner(deps, item, undefined, object), {
    uid: createUid(deps.random),
    creationTimestamp: formatTime(deps.clock.now()),
  });
}

function withOwner(
  deps: ReconcileDeps,
  { kind, stamped = [] }: BootstrapObject,
  live: KubeObject | undefined,
  object: KubeObject,
): KubeObject {
  const author = { manager: MANAGER, time: formatTime(deps.clock.now()) };
  return withMeta(object, {
    managedFields: trackUpdate(createManagedEndpoint(kind, "", stamped), live, object, author),
  });
}

/** The system namespaces as bootstrap objects. */
export function systemNamespaces(): readonly BootstrapObject[] {
  return SYSTEM_NAMESPACES.map((name) => ({
    key: `/registry/namespaces/${name}`,
    kind: namespaceKind,
    stamped: ["spec", "status"],
    object: {
      metadata: { name, labels: { "kubernetes.io/metadata.name": name } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    } as KubeObject,
    plan: () => ({ kind: "none" }),
  }));
}
