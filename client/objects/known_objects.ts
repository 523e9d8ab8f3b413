/** The objects that a watch has delivered: it filters repeated versions and finds deletions that were missed. */
import type { KubeObject } from "../../core/kube/meta.ts";
import type { ObjectChange } from "../../core/ports.ts";

/** The delivered objects, by namespace and name. */
export interface KnownObjects<T extends KubeObject> {
  /** Records an object and returns the changes to deliver: none when this version was delivered before. */
  change(object: T): readonly ObjectChange<T>[];
  /** Records a deletion and returns the changes to deliver: none when the object was not known. */
  delete(object: T): readonly ObjectChange<T>[];
  /** Begins a complete listing: objects that `change` does not receive before `endListing` have been deleted. */
  beginListing(): void;
  /** Ends the listing and returns the deletions that were missed. */
  endListing(): readonly ObjectChange<T>[];
}

/** Creates an empty set of known objects. */
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
      // Deleted and created again between two events: the deletion of the first one is delivered too.
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
      const deleted: ObjectChange<T>[] = [];
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

/** Returns the key of an object among all objects of its kind. */
export function toObjectKey(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name ?? ""}`;
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}
