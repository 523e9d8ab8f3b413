/** Storage keys of resources in upstream's layout, `/registry/<resource>/[<namespace>/]<name>`. */
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { goQuote } from "../../core/lib/quote.ts";
import { badRequest } from "../../core/kube/status.ts";
import type { Target } from "./registry.ts";
import type { StoredResource } from "./resource.ts";

/** Returns the key prefix of a resource, or of one namespace of it. */
export function toKeyPrefix(resource: StoredResource, namespace: string): string {
  const root = `/registry/${resource.storageName ?? resource.kind.plural}/`;
  return resource.kind.namespaced && namespace !== "" ? `${root}${namespace}/` : root;
}

/** Returns the storage key of one object. */
export function toStorageKey(resource: StoredResource, namespace: string, name: string): string {
  return `${toKeyPrefix(resource, namespace)}${name}`;
}

/**
 * Returns the key of the object that a request names. Throws StatusError 400 for names that cannot be in a key; this is
 * checked after options and body (`registry/generic/registry/store.go`, NamespaceKeyFunc).
 */
export function parseRequestedKey({ resource, namespace, name }: Target): string {
  if (resource.kind.namespaced && namespace === "") throw badRequest("Namespace parameter required.");
  const faults = pathSegmentNameErrors(name);
  if (faults.length > 0) throw badRequest(`Name parameter invalid: ${goQuote(name)}: ${faults.join(";")}`);
  return toStorageKey(resource, namespace, name);
}

/**
 * Returns kube-apiserver's message for a stored object that is not as a request expects it
 * (`apiserver/pkg/storage/errors.go`). A dry run checks before the prefix of etcd is added to the key
 * (`registry/generic/registry/dryrun.go`).
 */
export function invalidStoredObject(target: Target, why: string, isDryRun = false): string {
  const stored = toStorageKey(target.resource, target.namespace, target.name);
  const key = isDryRun ? stored.slice("/registry".length) : stored;
  return `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`;
}
