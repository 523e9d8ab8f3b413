/**
 * Creates the stored form of an object, with its revision in `metadata.resourceVersion` and its JSON encoded once. The
 * bytes are always kept. Objects, which take several times as much memory, are cached only for recently used newest states,
 * and parsed from the bytes otherwise.
 */
import { jsonBytes } from "../../core/kube/codec/encode.ts";
import type { KubeObject, ObjectMeta } from "../../core/kube/meta.ts";
import { ClockCache } from "./clock_cache.ts";
import type { StorageEvent, Stored } from "./storage.ts";

/** Creates the stored state of an object that is written at `revision`. */
export function createStored(key: string, object: KubeObject, revision: number): Stored {
  const { kind: _kind, apiVersion: _apiVersion, ...fields } = object;
  const numbered = { ...fields, metadata: withRevision(object.metadata, String(revision)) };
  return new KeptStored(key, revision, jsonBytes(numbered), numbered);
}

/** Creates a stored state from bytes that were read back; its `object` throws SyntaxError when they are not JSON. */
export function readStored(key: string, revision: number, bytes: Uint8Array): Stored {
  return new KeptStored(key, revision, bytes, undefined);
}

/** Creates the event of a change from one state of a key to another; undefined for no state. */
export function createStorageEvent(
  key: string,
  revision: number,
  current: Stored | undefined,
  previous: Stored | undefined,
): StorageEvent {
  return {
    key,
    revision,
    ...(current === undefined ? {} : { current }),
    ...(previous === undefined ? {} : { previous }),
  };
}

/** Drops the cached object of a state that is history, because five minutes of history can exceed the newest states. */
export function releaseObject(stored: Stored | undefined): void {
  if (stored instanceof KeptStored) stored.retire();
}

/** How much JSON the cached objects may have together: more than a thousand requests. */
const KEPT_JSON_BYTES = 2 * 1_048_576;
const kept = new ClockCache<KeptStored>(KEPT_JSON_BYTES);

class KeptStored implements Stored {
  readonly key: string;
  readonly revision: number;
  readonly bytes: Uint8Array;
  /** Set when the object is read, so that the cache keeps it longer. */
  isUsed = false;
  #object: KubeObject | undefined;
  #isHistory = false;

  constructor(key: string, revision: number, bytes: Uint8Array, object: KubeObject | undefined) {
    this.key = key;
    this.revision = revision;
    this.bytes = bytes;
    this.#object = object;
    if (object !== undefined) kept.add(this, bytes.length);
  }

  get object(): KubeObject {
    if (this.#object !== undefined) {
      this.isUsed = true;
      return this.#object;
    }
    const object = JSON.parse(decoder.decode(this.bytes)) as KubeObject;
    if (!this.#isHistory) {
      this.#object = object;
      kept.add(this, this.bytes.length);
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
}

const decoder = new TextDecoder();

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
