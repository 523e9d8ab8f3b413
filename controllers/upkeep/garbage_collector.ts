/**
 * Deletes dependents whose owners are gone, as kube-controller-manager's garbage collector does
 * (`pkg/controller/garbagecollector`): for example the Lease and the CSINode of a deleted Node. The collector pauses
 * while a kube-controller-manager is active, which knows kinds that are not served here.
 *
 * The collector watches the store instead of the API, so that the heartbeats of nodes need not be encoded and decoded.
 * It writes through the API, as a service account with the necessary permissions.
 */
import { setImmediate } from "node:timers/promises";
import { isAppError } from "../../core/errors.ts";
import { EVENTS_PREFIX } from "../../core/kube/kinds/events_v1.ts";
import {
  type CollectionPlan,
  type Dependent,
  FOREGROUND_FINALIZER,
  isWaitingForDependents,
  isWaitingForOrphans,
  ORPHAN_FINALIZER,
  type OwnerState,
  planCollection,
} from "../../core/kube/garbage_collection.ts";
import { getName, type KubeObject, type ObjectMeta, type OwnerReference } from "../../core/kube/meta.ts";
import { formatApiVersion, type Kind } from "../../core/kube/schema.ts";
import type { Logger, ObjectChange, ObjectChanges, ObjectStore } from "../../core/ports.ts";
import { CONTROLLER_MANAGER_WAIT_MS, type ControllerManager } from "../engine/leader_election.ts";
import { DONE, type Outcome, type Reconciler } from "../engine/loop.ts";

/** An object as the collector reads it, with its storage key. */
interface KeyedObject {
  readonly key: string;
  readonly object: KubeObject;
  /** The UTF-8 JSON of `object`, which is parsed only when `object` is read. */
  readonly bytes: Uint8Array;
}

/** Receives the objects of a store: all of them first, and again after a lost watch; then each change. */
interface KeyedObjectFollower {
  /** Called before all objects are added. */
  clear(): void;
  /** An object exists; `change` is undefined if the object was listed. */
  added(name: string, stored: KeyedObject, change?: unknown): void;
  /** An object was deleted; `previous` is its last state. */
  removed(
    name: string,
    change: { readonly key: string; readonly previous?: Pick<KeyedObject, "object"> | undefined },
  ): void;
  changed(): void;
}

/** The store of an API server, by storage key. */
interface KeyedObjectStore {
  get(key: string): Promise<Pick<KeyedObject, "object"> | undefined>;
  /** Follows every object below a prefix until it is stopped. */
  follow(prefix: string, follower: KeyedObjectFollower): Promise<{ stop(): void }>;
}

/** Searches a store that other API servers share, which may hold kinds that are not served here. */
interface SharedStoreSearch {
  /** Lists the key prefix of every kind that has objects. */
  collections(): Promise<readonly { readonly prefix: string }[]>;
  /** Finds the first key below a prefix whose value contains a text, or might contain it. */
  findMention(prefix: string, text: string): Promise<string | undefined>;
}

/** A resource that the API serves, and where its objects are stored. */
interface KeyedResource {
  readonly kind: Kind;
  readonly verbs: readonly string[];
  /** The prefix of its keys; a namespaced resource adds the namespace and a slash. */
  readonly keyPrefix: string;
}

interface GarbageCollectorDeps {
  readonly storage: KeyedObjectStore;
  /** Everything in a store that other API servers share; undefined where ours is the only one. */
  readonly contents: SharedStoreSearch | undefined;
  readonly resources: readonly KeyedResource[];
  /** Returns the objects of a kind in a namespace, which are then written as the collector's own user. */
  objectsFor(kind: Kind, namespace: string): Pick<ObjectStore<KubeObject>, "update" | "delete">;
  readonly controllerManager: ControllerManager;
  readonly logger: Logger;
}

/** A controller whose names are storage keys. */
interface GarbageCollector extends Reconciler<KubeObject> {
  readonly store: ObjectChanges<KubeObject>;
}

/** Creates the collector; run it with `runController`. */
export function createGarbageCollector(deps: GarbageCollectorDeps): GarbageCollector {
  const collector = new Collector(deps);
  return {
    reconcile: (key, _name, signal) => collector.reconcile(key, signal),
    store: { changes: (signal) => collector.changes(signal) },
  };
}

class Collector {
  readonly #deps: GarbageCollectorDeps;
  /** All resources by API version and kind, because any of them may own objects. */
  readonly #owners: ReadonlyMap<string, KeyedResource>;
  /** The resources whose objects are collected, by key prefix. */
  readonly #collected: ReadonlyMap<string, KeyedResource>;
  readonly #index: OwnerIndex;

  constructor(deps: GarbageCollectorDeps) {
    const { resources } = deps;
    this.#deps = deps;
    this.#owners = new Map(
      resources.map((resource) => [`${formatApiVersion(resource.kind)}/${resource.kind.kind}`, resource]),
    );
    this.#collected = new Map(resources.filter(isCollected).map((resource) => [resource.keyPrefix, resource]));
    this.#index = new OwnerIndex((key) => this.#collected.has(toCollectionPrefix(key)));
  }

  changes(signal: AbortSignal): AsyncIterable<ObjectChange<KubeObject>> {
    return this.#index.changes(this.#deps.storage, signal);
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Outcome> {
    const resource = this.#collected.get(toCollectionPrefix(key));
    const object = (await this.#deps.storage.get(key))?.object;
    if (resource === undefined || object === undefined) return DONE;
    const { metadata } = object;
    const states = new Map<OwnerReference, OwnerState>();
    for (const owner of metadata.ownerReferences ?? []) states.set(owner, await this.#findState(owner, metadata));
    const plan = planCollection(
      metadata,
      (owner) => states.get(owner) ?? "unknown",
      this.#index.findDependents(metadata.uid),
    );
    if (plan.kind === "none") return DONE;
    if (await this.#deps.controllerManager.isActive(signal)) {
      return { kind: "requeueAfter", ms: CONTROLLER_MANAGER_WAIT_MS };
    }
    return await this.#carryOut(plan, resource, object, signal);
  }

  /** Looks up an owner as upstream does: a namespaced owner is in the namespace of its dependent. */
  async #findState(owner: OwnerReference, { namespace = "" }: ObjectMeta): Promise<OwnerState> {
    const resource = this.#owners.get(`${owner.apiVersion}/${owner.kind}`);
    if (resource === undefined || (resource.kind.namespaced && namespace === "")) return "unknown";
    const folder = resource.kind.namespaced ? `${resource.keyPrefix}${namespace}/` : resource.keyPrefix;
    const found = (await this.#deps.storage.get(`${folder}${owner.name}`))?.object.metadata;
    if (found?.uid !== owner.uid) return "absent";
    return isWaitingForDependents(found) ? "waiting" : "solid";
  }

  async #carryOut(
    plan: Exclude<CollectionPlan, { readonly kind: "none" }>,
    resource: KeyedResource,
    object: KubeObject,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { logger } = this.#deps;
    const { kind } = resource;
    const { uid = "", namespace = "", ownerReferences = [], finalizers = [] } = object.metadata;
    const name = getName(object);
    const fields = { kind: kind.kind, ...(namespace === "" ? {} : { namespace }), name };
    const objects = this.#deps.objectsFor(kind, namespace);
    switch (plan.kind) {
      case "delete": {
        const current = plan.unblock
          ? await objects.update(withOwners(object, ownerReferences.map(unblocked)), signal)
          : object;
        const { resourceVersion = "" } = current.metadata;
        await objects.delete(name, signal, { uid, resourceVersion, propagationPolicy: plan.policy });
        logger.info("object without an owner deleted", { ...fields, policy: plan.policy });
        return DONE;
      }
      case "dropOwners":
        await objects.update(withOwners(object, ownerReferences.filter((owner) => !plan.uids.has(owner.uid))), signal);
        logger.info("references to absent owners removed", fields);
        return DONE;
      case "await":
        for (const { key } of plan.dependents) this.#index.enqueue(key);
        return DONE;
      case "orphan":
      case "release": {
        const key = await this.#findUnservedMention(uid);
        if (key !== undefined) {
          logger.warn("deletion waits for a kube-controller-manager: a dependent is not served here", {
            ...fields,
            key,
          });
          return { kind: "requeueAfter", ms: CONTROLLER_MANAGER_WAIT_MS };
        }
        if (plan.kind === "orphan") {
          for (const dependent of plan.dependents) await this.#orphan(dependent.key, uid, signal);
          return { kind: "requeueAfter", ms: 0 };
        }
        const rest = finalizers.filter((finalizer) => finalizer !== plan.finalizer);
        await objects.update({ ...object, metadata: { ...object.metadata, finalizers: rest } }, signal);
        logger.info("deletion finished", { ...fields, finalizer: plan.finalizer });
        return DONE;
      }
    }
  }

  async #orphan(key: string, ownerUid: string, signal: AbortSignal): Promise<void> {
    const resource = this.#collected.get(toCollectionPrefix(key));
    const object = (await this.#deps.storage.get(key))?.object;
    if (resource === undefined || object === undefined) return;
    const rest = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== ownerUid);
    try {
      const objects = this.#deps.objectsFor(resource.kind, object.metadata.namespace ?? "");
      await objects.update(withOwners(object, rest), signal);
    } catch (error) {
      if (!isAppError(error, "not_found")) throw error;
    }
  }

  /** Finds the key of an object of an unserved kind that may depend on an owner, because it holds the owner's uid. */
  async #findUnservedMention(uid: string): Promise<string | undefined> {
    const { contents } = this.#deps;
    if (contents === undefined) return undefined;
    for (const { prefix } of await contents.collections()) {
      if (this.#collected.has(prefix) || prefix === EVENTS_PREFIX) continue;
      const key = await contents.findMention(prefix, uid);
      if (key !== undefined) return key;
    }
    return undefined;
  }
}

/** Upstream collects the resources that can be watched, listed and deleted, but no Events (`DefaultIgnoredResources`). */
function isCollected(resource: KeyedResource): boolean {
  return resource.keyPrefix !== EVENTS_PREFIX &&
    ["delete", "list", "watch"].every((verb) => resource.verbs.includes(verb));
}

/** Cuts namespace and name off a key; the prefix of every collected resource has one segment. */
function toCollectionPrefix(key: string): string {
  return key.slice(0, key.indexOf("/", ROOT.length) + 1);
}

const ROOT = "/registry/";

function withOwners(object: KubeObject, ownerReferences: readonly OwnerReference[]): KubeObject {
  const { ownerReferences: _before, ...metadata } = object.metadata;
  return { ...object, metadata: ownerReferences.length === 0 ? metadata : { ...metadata, ownerReferences } };
}

function unblocked(owner: OwnerReference): OwnerReference {
  return { ...owner, blockOwnerDeletion: false };
}

/** How many keys are enqueued at once: all keys of a large instance would block requests for seconds. */
const BATCH = 50;

/** The facts kept about an object that has owners or waits for dependents. */
interface Entry {
  readonly uid: string;
  readonly owners: readonly OwnerReference[];
  readonly isWaiting: boolean;
  /** The object waits until its dependents are deleted or orphaned. */
  readonly isHeld: boolean;
}

/** Indexes dependents by owner, and collects the keys to check after a change. */
class OwnerIndex {
  readonly #isCollected: (key: string) => boolean;
  readonly #entries = new Map<string, Entry>();
  readonly #dependents = new Map<string, Set<string>>();
  /** Keys of the objects that wait for their dependents, by uid. */
  readonly #held = new Map<string, string>();
  /** The keys that are checked next, in order. */
  readonly #pending = new Set<string>();
  #wake = Promise.withResolvers<void>();

  constructor(isCollected: (key: string) => boolean) {
    this.#isCollected = isCollected;
  }

  findDependents(uid = ""): readonly Dependent[] {
    return [...this.#dependents.get(uid) ?? []].flatMap((key) => {
      const entry = this.#entries.get(key);
      if (entry === undefined) return [];
      const isBlocking = entry.owners.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true);
      return [{ key, isBlocking, isWaiting: entry.isWaiting }];
    });
  }

  enqueue(key: string): void {
    this.#pending.add(key);
    this.#wake.resolve();
  }

  /** Yields the keys to check, at first all of them, as changes of objects whose name is the key. */
  async *changes(
    storage: KeyedObjectStore,
    signal: AbortSignal,
  ): AsyncIterable<ObjectChange<KubeObject>> {
    const stop = (): void => this.#wake.resolve();
    signal.addEventListener("abort", stop, { once: true });
    const unseen = new Set<string>();
    const watch = await storage.follow(ROOT, {
      clear: () => {
        for (const key of this.#entries.keys()) {
          unseen.add(key);
          // Owners may have been deleted while there was no watch.
          this.enqueue(key);
        }
      },
      added: (_name, stored, change) => {
        const { key } = stored;
        unseen.delete(key);
        if (!this.#isCollected(key)) return;
        // Most objects have no owners: their JSON need not be parsed.
        this.#set(key, change !== undefined || mayHaveOwners(stored.bytes) ? stored.object : undefined);
      },
      removed: (_name, { key, previous }) => {
        if (!this.#isCollected(key)) return;
        this.#set(key, undefined);
        for (const child of this.#dependents.get(previous?.object.metadata.uid ?? "") ?? []) this.enqueue(child);
      },
      changed: () => {
        for (const key of unseen) this.#set(key, undefined);
        unseen.clear();
      },
    });
    try {
      yield { kind: "synced" };
      while (!signal.aborted) {
        this.#wake = Promise.withResolvers();
        for (const key of [...this.#pending].slice(0, BATCH)) {
          this.#pending.delete(key);
          yield { kind: this.#entries.has(key) ? "changed" : "deleted", object: { metadata: { name: key } } };
        }
        if (signal.aborted) break;
        if (this.#pending.size === 0) await this.#wake.promise;
        else await setImmediate();
      }
      throw signal.reason;
    } finally {
      signal.removeEventListener("abort", stop);
      watch.stop();
    }
  }

  #set(key: string, object: KubeObject | undefined): void {
    const before = this.#entries.get(key);
    const after = object === undefined ? undefined : toEntry(object.metadata);
    if (isSame(before, after)) return;
    for (const { uid } of before?.owners ?? []) this.#forget(uid, key);
    for (const { uid } of after?.owners ?? []) this.#ensure(uid).add(key);
    if (before !== undefined) this.#held.delete(before.uid);
    if (after?.isHeld === true) this.#held.set(after.uid, key);
    if (after === undefined) this.#entries.delete(key);
    else this.#entries.set(key, after);
    this.enqueue(key);
    if (after?.isWaiting === true) {
      for (const dependent of this.#dependents.get(after.uid) ?? []) {
        this.enqueue(dependent);
      }
    }
    for (const { uid } of [...before?.owners ?? [], ...after?.owners ?? []]) {
      const owner = this.#held.get(uid);
      if (owner !== undefined) this.enqueue(owner);
    }
  }

  #ensure(uid: string): Set<string> {
    const known = this.#dependents.get(uid) ?? new Set();
    this.#dependents.set(uid, known);
    return known;
  }

  #forget(uid: string, key: string): void {
    const known = this.#dependents.get(uid);
    known?.delete(key);
    if (known?.size === 0) this.#dependents.delete(uid);
  }
}

function toEntry(metadata: ObjectMeta): Entry | undefined {
  const { uid = "", ownerReferences: owners = [] } = metadata;
  const isWaiting = isWaitingForDependents(metadata);
  const isHeld = isWaiting || isWaitingForOrphans(metadata);
  return owners.length === 0 && !isHeld ? undefined : { uid, owners, isWaiting, isHeld };
}

/** Compares entries, so that a heartbeat is recognized as no change. */
function isSame(a: Entry | undefined, b: Entry | undefined): boolean {
  return a === undefined || b === undefined ? a === b : JSON.stringify(a) === JSON.stringify(b);
}

const MARKS = ["ownerReferences", FOREGROUND_FINALIZER, ORPHAN_FINALIZER].map((text) => `"${text}"`);
const decoder = new TextDecoder();

function mayHaveOwners(bytes: Uint8Array): boolean {
  // Decoded first, because on Deno a search in the bytes of a node takes 30 µs, and decoding them takes 1 µs.
  const json = decoder.decode(bytes);
  return MARKS.some((mark) => json.includes(mark));
}
