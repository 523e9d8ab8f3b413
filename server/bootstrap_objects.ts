/**
 * The objects that must exist before the first request: the system namespaces, the service of the API, and the default
 * roles and bindings, which are reconciled at each start (`pkg/registry/rbac/rest/storage_rbac.go`).
 */
import { namespaceKind, serviceKind } from "../core/kube/kinds/mod.ts";
import { createManagedEndpoint, trackUpdate } from "../core/kube/apply/track_update.ts";
import { formatTime, getName, type KubeObject, SYSTEM_NAMESPACE } from "../core/kube/meta.ts";
import type { Kind } from "../core/kube/schema.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import { planReconcile, type ReconcilePlan } from "../core/rbac/reconcile.ts";
import { RBAC_KINDS } from "./registry/rbac.ts";
import { createUid } from "./registry/registry.ts";
import type { ServiceShape } from "./registry/core_v1.ts";
import { withMeta } from "./registry/write.ts";
import { type Storage, WriteRefusedError } from "./storage/storage.ts";
import { retryRaces } from "./storage/transaction.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../core/kube/kinds/rbac_v1.ts";
import { createDefaultRbac } from "../core/rbac/default_roles.ts";

/** An object that must exist under its key. */
export interface BootstrapObject {
  readonly key: string;
  readonly kind: Kind;
  readonly object: KubeObject;
  /** Dotted paths that kube-apiserver fills in itself, so that they have no manager. */
  readonly stamped?: readonly string[];
  plan(existing: KubeObject): ReconcilePlan<KubeObject>;
}

const SYSTEM_NAMESPACES: readonly string[] = ["default", "kube-node-lease", "kube-public", SYSTEM_NAMESPACE];

/** The dependencies of the writes at startup. */
export interface ReconcileDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The name of the manager in `managedFields`. */
const MANAGER = "kube-apiserver";

/**
 * Creates missing objects and reconciles changed ones. Runs before the first request is served. Returns false when the
 * storage has refused a write, for example because it is full.
 */
export async function reconcileObjects(deps: ReconcileDeps, wanted: readonly BootstrapObject[]): Promise<boolean> {
  const written = await Promise.all(wanted.map(async (item) => {
    try {
      await retryRaces(() => reconcileObject(deps, item));
      return true;
    } catch (error) {
      if (!(error instanceof WriteRefusedError)) throw error;
      // The existing objects must be served, even when the storage is full.
      deps.logger.error("default object not written", { key: item.key, error });
      return false;
    }
  }));
  return written.every(Boolean);
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
  deps.logger.info("default object reconciled", { key, name: getName(object), action: planned.kind });
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

/** Creates the bootstrap objects of the system namespaces. */
export function createSystemNamespaces(): readonly BootstrapObject[] {
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

/** Creates every default role and binding under its storage key; bindings come after their roles. */
export function createDefaultRbacObjects(): readonly BootstrapObject[] {
  const { clusterRoles, clusterRoleBindings, roles, roleBindings } = createDefaultRbac();
  return [
    ...clusterRoles.map((object) => createRbacObject("clusterroles", object)),
    ...clusterRoleBindings.map((object) => createRbacObject("clusterrolebindings", object)),
    ...roles.map((object) => createRbacObject("roles", object)),
    ...roleBindings.map((object) => createRbacObject("rolebindings", object)),
  ];
}

/** Creates one RBAC bootstrap object; a changed object is reconciled unless its annotation forbids it. */
export function createRbacObject<T extends ClusterRole | ClusterRoleBinding | Role | RoleBinding>(
  plural: "clusterroles" | "clusterrolebindings" | "roles" | "rolebindings",
  wanted: T,
): BootstrapObject {
  const namespace = wanted.metadata.namespace === undefined ? "" : `${wanted.metadata.namespace}/`;
  return {
    key: `/registry/${plural}/${namespace}${getName(wanted)}`,
    kind: RBAC_KINDS.find((kind) => kind.plural === plural)!,
    object: wanted,
    // Every object under this key passed the strategy of this kind.
    plan: (existing) => planReconcile(existing as T, wanted),
  };
}

/** Creates the Service of the API, which is headless because there is no service network here. */
export function createApiService(securePort: number): BootstrapObject {
  return {
    key: "/registry/services/specs/default/kubernetes",
    kind: serviceKind,
    stamped: ["status", "spec.clusterIPs", "spec.ipFamilies"],
    object: {
      metadata: {
        name: "kubernetes",
        namespace: "default",
        labels: { component: "apiserver", provider: "kubernetes" },
      },
      spec: {
        ports: [{ name: "https", protocol: "TCP", port: 443, targetPort: securePort }],
        clusterIP: "None",
        clusterIPs: ["None"],
        type: "ClusterIP",
        sessionAffinity: "None",
        ipFamilies: ["IPv4"],
        ipFamilyPolicy: "SingleStack",
        internalTrafficPolicy: "Cluster",
      },
      status: { loadBalancer: {} },
    } as KubeObject,
    plan: (existing) => planTargetPort(existing as ServiceShape, securePort),
  };
}

/** Plans to add the target port to a Service that an older version created without one. */
function planTargetPort(existing: ServiceShape, securePort: number): ReconcilePlan<KubeObject> {
  const ports = existing.spec.ports ?? [];
  if (ports.every(({ targetPort = 0 }) => targetPort !== 0)) return { kind: "none" };
  const completed = ports.map((port) => ({ ...port, targetPort: port.targetPort || securePort }));
  return { kind: "update", object: { ...existing, spec: { ...existing.spec, ports: completed } } as KubeObject };
}
