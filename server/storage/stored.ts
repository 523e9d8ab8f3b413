/**
 * Creates the stored form of an object, with its revision in `metadata.resourceVersion`. It always keeps one encoding:
 * the JSON, or the value of a shared store until the JSON is needed. Objects take several times as much memory, so they
 * are decoded when they are read, and a cache of limited size has those of the newest states.
 */
import { jsonBytes } from "../../core/kube/wire/object_json.ts";
import type { KubeObject, ObjectMeta } from "../../core/kube/meta.ts";
import type { Stored } from "./storage.ts";

/** Decodes a value of a shared store; undefined for one that is not served. */
export type ValueDecoder = (key: string, value: Uint8Array) => KubeObject | undefined;

/** Creates the stored state of an object that is written at `revision`. */
export function createStored(key: string, object: KubeObject, revision: number): Stored {
  const numbered = toNumbered(object, revision);
  return new CachedStored(key, revision, jsonBytes(numbered), undefined, numbered);
}

/** Creates a stored state from bytes that were read back; its `object` throws SyntaxError when they are not JSON. */
export function readStored(key: string, revision: number, bytes: Uint8Array): Stored {
  return new CachedStored(key, revision, bytes, undefined, undefined);
}

/** Creates a stored state from the value of a shared store, and the object that `decode` returns for it. */
export function readValue(
  key: string,
  revision: number,
  value: Uint8Array,
  decode: ValueDecoder,
  object: KubeObject,
): Stored {
  return new CachedStored(key, revision, value, decode, toNumbered(object, revision));
}

/** Drops the cached object of a replaced state, because five minutes of history can exceed the newest states. */
export function releaseObject(stored: Stored | undefined): void {
  if (stored instanceof CachedStored) stored.retire();
}

/** An entry that can be released and loaded again. */
export interface Reclaimable {
  /** Set by each use, and cleared when the clock hand passes the entry. */
  isUsed: boolean;
  release(): void;
}

/**
 * Caches entries up to a limit for the sum of their sizes. It evicts those that have not been used since the clock hand
 * last passed them (CLOCK).
 */
export class ClockCache<T extends Reclaimable> {
  readonly #limit: number;
  /** The entries in the order in which the clock hand passes them. It has passed those before `#next`. */
  #queue: { readonly entry: T; readonly size: number }[] = [];
  #next = 0;
  #size = 0;

  /** `limit` applies to the sum of all sizes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds an entry that is not in the cache yet. */
  add(entry: T, size: number): void {
    entry.isUsed = false;
    this.#queue.push({ entry, size });
    this.#size += size;
    while (this.#size > this.#limit) this.#turn();
    // The array is trimmed only now and then, so the cost for each addition is small.
    if (this.#next * 2 <= this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#next);
    this.#next = 0;
  }

  #turn(): void {
    const slot = this.#queue[this.#next++]!;
    const { entry, size } = slot;
    if (entry.isUsed) {
      entry.isUsed = false;
      this.#queue.push(slot);
      return;
    }
    this.#size -= size;
    entry.release();
  }
}

/** The limit for the JSON of all cached objects, which is enough for more than a thousand requests. */
const CACHED_JSON_BYTES = 2 * 1_048_576;
const cache = new ClockCache<CachedStored>(CACHED_JSON_BYTES);

class CachedStored implements Stored {
  readonly key: string;
  readonly revision: number;
  readonly size: number;
  /** Set when the object is read, so that the cache keeps it longer. */
  isUsed = false;
  /** The value of a shared store while there is a decoder, and JSON otherwise. */
  #bytes: Uint8Array;
  #decode: ValueDecoder | undefined;
  #object: KubeObject | undefined;
  #isHistory = false;

  constructor(
    key: string,
    revision: number,
    bytes: Uint8Array,
    decode: ValueDecoder | undefined,
    object: KubeObject | undefined,
  ) {
    this.key = key;
    this.revision = revision;
    this.size = bytes.length;
    this.#bytes = bytes;
    this.#decode = decode;
    this.#object = object;
    if (object !== undefined) cache.add(this, bytes.length);
  }

  get bytes(): Uint8Array {
    if (this.#decode === undefined) return this.#bytes;
    const json = jsonBytes(this.object);
    if (!this.#isHistory) {
      this.#bytes = json;
      this.#decode = undefined;
    }
    return json;
  }

  get object(): KubeObject {
    if (this.#object !== undefined) {
      this.isUsed = true;
      return this.#object;
    }
    const object = this.#readObject();
    if (!this.#isHistory) {
      this.#object = object;
      cache.add(this, this.#bytes.length);
    }
    return object;
  }

  release(): void {
    this.#object = undefined;
  }

  retire(): void {
    this.#object = undefined;
    this.#isHistory = true;
    this.isUsed = false;
  }

  #readObject(): KubeObject {
    if (this.#decode === undefined) return JSON.parse(decoder.decode(this.#bytes)) as KubeObject;
    // The same value was decoded when the state was created.
    return toNumbered(this.#decode(this.key, this.#bytes)!, this.revision);
  }
}

const decoder = new TextDecoder();

/** Copies an object with its revision, and without `kind` and `apiVersion`. */
function toNumbered(object: KubeObject, revision: number): KubeObject {
  const { kind: _kind, apiVersion: _apiVersion, ...fields } = object;
  return { ...fields, metadata: withRevision(object.metadata, String(revision)) };
}

/** Sets `resourceVersion` at its place in Go's field order (`meta/v1` ObjectMeta: after `uid`). */
function withRevision(metadata: ObjectMeta, resourceVersion: string): ObjectMeta {
  if ("resourceVersion" in metadata) return { ...metadata, resourceVersion };
  const { name, generateName, namespace, selfLink, uid, ...rest } = metadata;
  return {
    ...(name === undefined ? {} : { name }),
    ...(generateName === undefined ? {} : { generateName }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(selfLink === undefined ? {} : { selfLink }),
    ...(uid === undefined ? {} : { uid }),
    resourceVersion,
    ...rest,
  };
}
