/** What a follower of changes has delivered so far: tells new from known, and finds what vanished unseen. */
import type { KubeObject } from "../core/kube/meta.ts";
import type { Change } from "../core/ports.ts";

/** The objects delivered, by namespace and name. */
export interface KnownObjects<T extends KubeObject> {
  /** The changes an object's present state stands for: none when this very version was delivered before. */
  change(object: T): readonly Change<T>[];
  /** The change a deletion stands for: none when the object was not known. */
  delete(object: T): readonly Change<T>[];
  /** Begins a complete listing: what `change` does not see until `endListing` is gone. */
  beginListing(): void;
  /** Ends it with the deletions nobody told of. */
  endListing(): readonly Change<T>[];
}

/** An empty memory. */
export function createKnownObjects<T extends KubeObject>(): KnownObjects<T> {
  const known = new Map<string, T>();
  let unseen = new Set<string>();
  return {
    change(object) {
      const key = toObjectKey(object);
      const before = known.get(key);
      unseen.delete(key);
      if (before !== undefined && isSameVersion(before, object)) return [];
      known.set(key, object);
      // Deleted and made again while nobody looked: the first one's end is told too.
      const replaced = before !== undefined && before.metadata.uid !== object.metadata.uid;
      return [
        ...(replaced ? [{ kind: "deleted", object: before } as const] : []),
        { kind: "changed", object },
      ];
    },
    delete(object) {
      unseen.delete(toObjectKey(object));
      return known.delete(toObjectKey(object)) ? [{ kind: "deleted", object }] : [];
    },
    beginListing() {
      unseen = new Set(known.keys());
    },
    endListing() {
      const deleted: Change<T>[] = [];
      for (const key of unseen) {
        const object = known.get(key);
        if (object !== undefined) deleted.push({ kind: "deleted", object });
        known.delete(key);
      }
      unseen = new Set();
      return deleted;
    },
  };
}

/** What tells an object from all others of its kind. */
export function toObjectKey(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name ?? ""}`;
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}
