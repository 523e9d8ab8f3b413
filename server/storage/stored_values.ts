/** How objects stand in a store that others read too: bytes by key, in the others' own form. */
import type { KubeObject } from "../../core/kube/meta.ts";

/** Encodes and decodes values. */
export interface StoredValues {
  /** What all keys start with; ends in `/`. */
  readonly root: string;
  /** Where the objects are that are served, each below `root`; ends in `/`. */
  readonly prefixes: readonly string[];
  /** The value of an object, which has no `metadata.resourceVersion` there: the store has its own. */
  encode(key: string, object: KubeObject): Uint8Array;
  /**
   * The object of a value; undefined for a key of something that is not served. Throws AppError `storage_corrupt` for a
   * value that cannot be read.
   */
  decode(key: string, value: Uint8Array): KubeObject | undefined;
}
