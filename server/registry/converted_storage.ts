/**
 * A view of a storage in a version other than the stored one: objects are read in this version and written in the stored
 * one (`apiserver/pkg/storage`, where a codec does this).
 */
import { jsonBytes } from "../../core/kube/wire/encode.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { Storage, StorageEvent, Stored } from "../storage/storage.ts";

/** The conversions between a version and the stored one. */
export interface Conversion<T extends KubeObject = KubeObject> {
  /** The stored kind; texts about invalid objects name it. */
  readonly kind: Kind;
  toStored(object: T): KubeObject;
  fromStored(object: KubeObject): T;
}

/** Wraps a storage, which its owner still has to dispose of. */
export function createConvertedStorage(storage: Storage, { toStored, fromStored }: Omit<Conversion, "kind">): Storage {
  function convert(stored: Stored): Stored {
    const object = fromStored(stored.object);
    return { ...stored, object, bytes: jsonBytes(object) };
  }

  function convertEvent({ current, previous, ...event }: StorageEvent): StorageEvent {
    return {
      ...event,
      ...(current === undefined ? {} : { current: convert(current) }),
      ...(previous === undefined ? {} : { previous: convert(previous) }),
    };
  }

  return {
    sharesRevisions: storage.sharesRevisions,
    async get(key) {
      const stored = await storage.get(key);
      return stored === undefined ? undefined : convert(stored);
    },
    getKnown(key) {
      const stored = storage.getKnown(key);
      return stored === undefined ? undefined : convert(stored);
    },
    async list(prefix, options) {
      const page = await storage.list(prefix, options);
      return { ...page, items: page.items.map(convert) };
    },
    create: async (key, object) => convert(await storage.create(key, toStored(object))),
    update: async (key, object, expected) => convert(await storage.update(key, toStored(object), expected)),
    async delete(key, expected) {
      const { previous, revision } = await storage.delete(key, expected);
      return { previous: convert(previous), revision };
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
    compactedRevision: () => storage.compactedRevision(),
    health: () => storage.health(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
