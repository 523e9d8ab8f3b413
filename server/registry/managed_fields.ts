/** Applies core's field management to the endpoint of a request: it tracks which manager owns which field. */
import { createManagedEndpoint, type ManagedEndpoint } from "../../core/kube/managed_fields/endpoint.ts";
import { type Author, trackUpdate } from "../../core/kube/managed_fields/track_update.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import type { RegistryDeps, Target } from "./registry.ts";
import type { Resource } from "./resource.ts";
import { WriteRefusedError } from "../storage/storage.ts";
import { withMeta } from "./write.ts";

const endpoints = new WeakMap<Resource, Map<string, ManagedEndpoint>>();

/** Returns the managed endpoint of a request, which is built at first use. */
export function getManagedEndpoint(
  { resource, subresource }: Pick<Target, "resource" | "subresource">,
): ManagedEndpoint {
  let known = endpoints.get(resource);
  if (known === undefined) endpoints.set(resource, known = new Map());
  let endpoint = known.get(subresource);
  if (endpoint === undefined) {
    const strategy = subresource === ""
      ? resource.strategy
      : resource.subresources.find((candidate) => candidate.name === subresource);
    endpoint = createManagedEndpoint(resource.kind, subresource, strategy?.resetFields ?? []);
    known.set(subresource, endpoint);
  }
  return endpoint;
}

/** Creates the author of a write at the present time. */
export function createAuthor(deps: Pick<RegistryDeps, "clock">, manager: string): Author {
  return { manager, time: formatTime(deps.clock.now()) };
}

/** Updates the managed fields of an object that is about to replace `live` (undefined for a creation). */
export function trackOwners(
  deps: Pick<RegistryDeps, "clock">,
  target: Target,
  live: KubeObject | undefined,
  object: KubeObject,
  manager: string,
): KubeObject {
  const managedFields = trackUpdate(getManagedEndpoint(target), live, object, createAuthor(deps, manager));
  return withMeta(object, { managedFields });
}

/**
 * Writes an object. One that is too large for the store is written again without its managed fields, which can be large
 * (`handlers/create.go`, `update.go`, `patch.go`). Apply depends on managed fields and does not use this.
 *
 * @param write gets a function that it applies to the object just before storing it
 */
export async function writeFitting<T>(write: (finish: (object: KubeObject) => KubeObject) => Promise<T>): Promise<T> {
  try {
    return await write((object) => object);
  } catch (error) {
    if (!(error instanceof WriteRefusedError) || error.why !== "tooLarge") throw error;
    return await write((object) => withMeta(object, { managedFields: undefined }));
  }
}
