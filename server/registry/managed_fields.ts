/** Who owns which field of a stored object: core's field management, for the endpoint that a request is about. */
import { createManagedEndpoint, type ManagedEndpoint } from "../../core/kube/managed_fields/endpoint.ts";
import { type Author, trackUpdate } from "../../core/kube/managed_fields/track_update.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import type { RegistryDeps, Target } from "./registry.ts";
import type { Resource } from "./resource.ts";
import { WriteRefusedError } from "../storage/storage.ts";
import { withMeta } from "./write.ts";

const endpoints = new WeakMap<Resource, Map<string, ManagedEndpoint>>();

/** The endpoint of a request, built at first use. */
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

/** Who writes now. */
export function createAuthor(deps: Pick<RegistryDeps, "clock">, manager: string): Author {
  return { manager, time: formatTime(deps.clock.now()) };
}

/** An object that is about to be written over `live` (undefined: created), with its owners brought up to date. */
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
 * Writes an object. One that is too large for the store is written once more without its managed fields, which can be
 * large (`handlers/create.go`, `update.go`, `patch.go`); apply, which lives by them, does without this.
 *
 * @param write gets what it applies to the object at last
 */
export async function writeFitting<T>(write: (finish: (object: KubeObject) => KubeObject) => Promise<T>): Promise<T> {
  try {
    return await write((object) => object);
  } catch (error) {
    if (!(error instanceof WriteRefusedError) || error.why !== "tooLarge") throw error;
    return await write((object) => withMeta(object, { managedFields: undefined }));
  }
}
