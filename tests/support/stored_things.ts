/** Objects that tests store, and functions that read a store. */
import { Buffer } from "node:buffer";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { StoredValues } from "../../server/storage/etcd/contents.ts";
import { CompactedError, type Storage, type StorageEvent, type Write } from "../../server/storage/storage.ts";

/** An object with a value that distinguishes its versions. */
export function thing(name: string, value: number | string = 0): KubeObject {
  const object = { metadata: { name, uid: `uid-${name}`, creationTimestamp: "2026-01-01T00:00:00Z" }, value };
  return object;
}

/** Collects the events of a watch until it is stopped. */
export function collect(storage: Storage, prefix: string, afterRevision: number): {
  readonly events: StorageEvent[];
  stop(): void;
} {
  const events: StorageEvent[] = [];
  const watch = storage.watch(prefix, afterRevision, (batch) => void events.push(...batch));
  return { events, stop: () => watch.stop() };
}

/** Returns the creations of an object and of two others with the same name under other resources. */
export function creations(name: string, value: number | string = 0): readonly Write[] {
  return ["things", "others", "events/default"].map((resource) => ({
    kind: "create",
    key: `/registry/${resource}/${name}`,
    object: thing(name, value),
  }));
}

/** Returns the revision of each key. */
export async function readContent(storage: Storage): Promise<ReadonlyMap<string, number>> {
  return new Map((await storage.list("/registry/")).items.map(({ key, revision }) => [key, revision]));
}

/** Formats each event as one line. */
export function describeEvents(events: readonly StorageEvent[]): string[] {
  return events.map(({ key, revision, current, previous }) =>
    `${revision} ${key.slice("/registry/".length)} ${previous?.revision ?? "-"}>${current?.revision ?? "-"}`
  );
}

/** Stored values as plain JSON. */
export const JSON_VALUES: StoredValues = {
  root: "/registry/",
  prefixes: ["/registry/"],
  encode(_key, { kind: _kind, apiVersion: _apiVersion, ...object }) {
    return Buffer.from(JSON.stringify(object));
  },
  decode: (_key, value) => JSON.parse(new TextDecoder().decode(value)),
  isDecoded: () => true,
};

/** Finds the revision up to which a store has compacted its history. */
export function findCompactedRevision(storage: Pick<Storage, "watch">): number {
  try {
    storage.watch("/", -1, () => {}).stop();
  } catch (error) {
    if (error instanceof CompactedError) return error.compactedRevision;
    throw error;
  }
  throw new Error("the store has a history before its first revision");
}
