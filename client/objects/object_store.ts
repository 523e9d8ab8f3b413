/** The `ObjectStore` port over a Kubernetes API, remote or in process: typed verbs, and changes by watch. */
import { type AppError, isAppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { formatApiVersion, formatCollectionPath, formatObjectPath, type Kind } from "../../core/kube/schema.ts";
import type { Clock, Logger, ObjectStore, Random, Transport } from "../../core/ports.ts";
import { createApiClient, listAll } from "./api.ts";
import { followChanges } from "./reflector.ts";

/** The objects of a store, and its clock, randomness and logger. */
export interface ObjectStoreOptions {
  /** The namespace of a namespaced kind. When absent, all namespaces: then only `list`, `changes` and `update` work. */
  readonly namespace?: string;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Receives each failure of `changes` before the next try. When it throws, `changes` ends. */
  readonly onFailure?: (error: AppError) => void;
}

/** Creates a store of the objects of one kind over a transport. */
export function createObjectStore<T extends KubeObject>(
  transport: Transport,
  kind: Kind,
  options: ObjectStoreOptions,
): ObjectStore<T> {
  const api = createApiClient(transport, options);
  const namespace = options.namespace ?? "";
  const collection = formatCollectionPath(kind, namespace);
  const selectors = { fieldSelector: options.fieldSelector, labelSelector: options.labelSelector };
  // Items of lists have neither field, but the API requires both.
  const typed = (object: T): T => ({ apiVersion: formatApiVersion(kind), kind: kind.kind, ...object });
  return {
    async get(name, signal) {
      try {
        return await api.requestObject<T>({ method: "GET", path: formatObjectPath(kind, name, namespace) }, signal);
      } catch (error) {
        if (isAppError(error, "not_found")) return undefined;
        throw error;
      }
    },
    list: async (signal) => (await listAll<T>(api, collection, selectors, signal)).items,
    create: (object, signal) => api.requestObject<T>({ method: "POST", path: collection, body: typed(object) }, signal),
    update(object, signal, subresource) {
      const own = formatObjectPath(kind, object.metadata.name ?? "", object.metadata.namespace ?? namespace);
      const path = subresource === undefined ? own : `${own}/${subresource}`;
      return api.requestObject<T>({ method: "PUT", path, body: typed(object) }, signal);
    },
    async delete(name, signal, options = {}) {
      const { propagationPolicy, ...preconditions } = options;
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
        ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
      };
      await api.requestJson({ method: "DELETE", path: formatObjectPath(kind, name, namespace), body }, signal);
    },
    changes: (signal) => followChanges<T>({ api, collection, selectors, ...options }, signal),
  };
}
