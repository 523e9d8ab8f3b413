/** Storage keys of resources: upstream's own layout, `/registry/<resource>/[<namespace>/]<name>`. */
import type { StoredResource } from "./resource.ts";

/** The prefix of a resource, or of one namespace of it. */
export function prefixOf(resource: StoredResource, namespace: string): string {
  const root = `/registry/${resource.storageName ?? resource.kind.plural}/`;
  return resource.kind.namespaced && namespace !== "" ? `${root}${namespace}/` : root;
}

/** The key of one object. */
export function keyOf(resource: StoredResource, namespace: string, name: string): string {
  return `${prefixOf(resource, namespace)}${name}`;
}
