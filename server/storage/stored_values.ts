/** The encoding of objects in a store that other programs read too. */
import type { KubeObject } from "../../core/kube/meta.ts";

/** Encodes objects to stored values and decodes them. */
export interface StoredValues {
  /** The prefix of all keys; it ends in `/`. */
  readonly root: string;
  /** The prefixes of the served objects, each below `root` and ending in `/`. */
  readonly prefixes: readonly string[];
  /** Encodes an object without `metadata.resourceVersion`, because the store has its own revisions. */
  encode(key: string, object: KubeObject): Uint8Array;
  /**
   * Decodes the object of a value; undefined for a key that is not served. Throws AppError `storage_corrupt` for a value
   * that cannot be decoded.
   */
  decode(key: string, value: Uint8Array): KubeObject | undefined;
}
