/**
 * Makes the stored form of an object: its revision in `metadata.resourceVersion`, its JSON encoded once. The bytes are
 * what is kept; objects, which take several times as much, are kept beside them for what was written or looked at last,
 * while it is the newest of its key, and read from the bytes otherwise.
 */
import { jsonBytes } from "../../core/kube/codec/encode.ts";
import type { KubeObject, ObjectMeta } from "../../core/kube/meta.ts";
import { ClockCache } from "./clock_cache.ts";
import type { Stored } from "./storage.ts";

/** The state that a write of `revision` makes of an object. */
export function createStored(key: string, object: KubeObject, revision: number): Stored {
  const { kind: _kind, apiVersion: _apiVersion, ...fields } = object;
  const numbered = { ...fields, metadata: withRevision(object.metadata, String(revision)) };
  return new KeptStored(key, revision, jsonBytes(numbered), numbered);
}

/** A stored form that was read back; its object throws SyntaxError when the bytes are not JSON. */
export function readStored(key: string, revision: number, bytes: Uint8Array): Stored {
  return new KeptStored(key, revision, bytes, undefined);
}

/** Lets go of the object of a state that is history: five minutes of it would be several times what there is. */
export function releaseObject(stored: Stored | undefined): void {
  if (stored instanceof KeptStored) stored.retire();
}

/** Objects of so much JSON are kept: a thousand requests and more. */
const KEPT_JSON_BYTES = 2 * 1_048_576;
const kept = new ClockCache<KeptStored>(KEPT_JSON_BYTES);

class KeptStored implements Stored {
  readonly key: string;
  readonly revision: number;
  readonly bytes: Uint8Array;
  /** Looked at since the last time that it could have been let go. */
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
