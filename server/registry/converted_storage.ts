/**
 * A view of a storage in a version other than the stored one: objects are read in this version and written in the stored
 * one (`apiserver/pkg/storage`, where a codec does this).
 */
import { jsonBytes } from "../../core/kube/wire/encode.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { Storage, StorageEvent, Stored } from "../storage/storage.ts";

/** The methods of a storage that the verbs call. */
export type RegistryStorage = Pick<
  Storage,
  "get" | "getKnown" | "list" | "transact" | "watch" | "catchUp" | "revision"
>;

/** The conversions between a version and the stored one. */
export interface Conversion<T extends KubeObject = KubeObject> {
  /** The stored kind; texts about invalid objects name it. */
  readonly kind: Kind;
  toStored(object: T): KubeObject;
  fromStored(object: KubeObject): T;
}

export function createConvertedStorage(
  storage: RegistryStorage,
  { toStored, fromStored }: Omit<Conversion, "kind">,
): RegistryStorage {
  function convert<S extends Stored | undefined>(stored: S): S {
    if (stored === undefined) return stored;
    const object = fromStored(stored.object);
    return { ...stored, object, bytes: jsonBytes(object) };
  }

  const convertEvent = ({ current, previous, ...event }: StorageEvent): StorageEvent => ({
    ...event,
    current: convert(current),
    previous: convert(previous),
  });

  return {
    get: async (key) => convert(await storage.get(key)),
    getKnown: (key) => convert(storage.getKnown(key)),
    async list(prefix, options) {
      const page = await storage.list(prefix, options);
      return { ...page, items: page.items.map(convert) };
    },
    async transact(writes) {
      const converted = writes.map((write) =>
        write.kind === "delete" ? write : { ...write, object: toStored(write.object) }
      );
      return (await storage.transact(converted)).map(convertEvent);
    },
    watch: (prefix, after, onEvents, onLost) =>
      storage.watch(prefix, after, (events) => onEvents(events.map(convertEvent)), onLost),
    catchUp: (withinMs) => storage.catchUp(withinMs),
    revision: () => storage.revision(),
  };
}
