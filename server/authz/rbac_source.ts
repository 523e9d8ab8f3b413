/** The roles and bindings of the storage, indexed for the authorizer. A write takes effect before it is acknowledged. */
import type { KubeObject } from "../../core/kube/meta.ts";
import { getName } from "../../core/kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../core/kube/kinds/rbac_v1.ts";
import type { RbacObjects } from "../../core/rbac/evaluate.ts";
import { followInto } from "../storage/follow.ts";
import type { Storage } from "../storage/storage.ts";

/** The source from which the authorizer reads roles. */
export interface RbacSource extends Disposable {
  /** Returns the current roles and bindings. */
  objects(): RbacObjects;
}

/** Reads the roles and bindings of the storage, then follows their changes. */
export async function createRbacSource(storage: Storage): Promise<RbacSource> {
  const clusterRoles = new Map<string, ClusterRole>();
  const clusterRoleBindings = new Map<string, ClusterRoleBinding>();
  const roles = new Map<string, Role>();
  const roleBindings = new Map<string, RoleBinding>();
  let current: RbacObjects | undefined;
  const changed = () => {
    current = undefined;
  };
  const watches = [
    await followInto(storage, "/registry/clusterroles/", clusterRoles, changed),
    await followInto(storage, "/registry/clusterrolebindings/", clusterRoleBindings, changed),
    await followInto(storage, "/registry/roles/", roles, changed),
    await followInto(storage, "/registry/rolebindings/", roleBindings, changed),
  ];
  return {
    objects() {
      // Built on the first call after a change, because a start-up writes about a hundred roles before the first request.
      current ??= {
        clusterRoles,
        clusterRoleBindings: sortByName([...clusterRoleBindings.values()]),
        roles,
        roleBindings: groupByNamespace(roleBindings),
      };
      return current;
    },
    [Symbol.dispose]() {
      for (const watch of watches) watch.stop();
    },
  };
}

function groupByNamespace(bindings: ReadonlyMap<string, RoleBinding>): ReadonlyMap<string, readonly RoleBinding[]> {
  const groups = new Map<string, RoleBinding[]>();
  for (const [key, binding] of bindings) {
    const namespace = key.slice(0, key.indexOf("/"));
    const group = groups.get(namespace);
    if (group === undefined) groups.set(namespace, [binding]);
    else group.push(binding);
  }
  for (const group of groups.values()) sortByName(group);
  return groups;
}

/** Sorts bindings, so that the reason of an allowed request is always the same; Kubernetes has no particular order. */
function sortByName<T extends KubeObject>(objects: T[]): T[] {
  return objects.sort((a, b) => (getName(a) < getName(b) ? -1 : 1));
}
