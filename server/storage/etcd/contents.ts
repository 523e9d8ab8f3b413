/**
 * The objects in an etcd: the encoding of their values, and a search of everything below our prefix, whether it is
 * served here or not. A kube-apiserver that shares the etcd stores kinds that are not served here, and controllers must
 * take them into account.
 */
import { Buffer } from "node:buffer";
import type { EtcdClient } from "./client.ts";
import { endOfPrefix, type EtcdKeyValue } from "./wire.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { findResourcePath, isGroupSegment } from "../transaction.ts";
import { decodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";

export interface StoredCollection {
  /** The prefix of their keys; it ends in `/`. */
  readonly prefix: string;
  /** The API group; empty for the core group, and if the stored values do not contain it. */
  readonly group: string;
  /** The plural name in the API. */
  readonly resource: string;
}

/** Reads the content of a store that other API servers write to. Every answer is linearizable. */
export interface StoreContents {
  /** Lists the collections that have at least one object, in the order of keys. */
  collections(): Promise<readonly StoredCollection[]>;
  count(prefix: string): Promise<number>;
  /**
   * Finds the first key below a prefix whose value contains a text, such as a uid, or might contain it because
   * kube-apiserver has encrypted the value.
   */
  findMention(prefix: string, text: string): Promise<string | undefined>;
}

/** Decodes every byte as a character, so that binary values can be searched too. */
const latin1 = new TextDecoder("latin1");
/** The number of values that one read returns. */
const PAGE = 500;
/** The prefix of a value that kube-apiserver has encrypted (`--encryption-provider-config`). */
const ENCRYPTED = Buffer.from("k8s:enc:");

/** True for a value that kube-apiserver has encrypted with its own keys. */
export function isEncrypted(value: Uint8Array): boolean {
  return ENCRYPTED.equals(value.subarray(0, ENCRYPTED.length));
}

/** Creates access to the content of an etcd; `root` is the prefix of all keys. */
export function createStoreContents(client: Pick<EtcdClient, "range">, root: string): StoreContents {
  return {
    async collections() {
      const found: StoredCollection[] = [];
      // One read per collection, regardless of its size: it skips from the first key to the end of the prefix.
      for (let key = root;;) {
        const [kv] = (await client.range({ key, below: root, limit: 1 })).kvs;
        if (kv === undefined) return found;
        const collection = findCollection(root, kv);
        if (collection !== undefined) found.push(collection);
        key = collection === undefined ? `${kv.key}\u0000` : endOfPrefix(collection.prefix);
      }
    },
    count: async (prefix) => (await client.range({ key: prefix, below: prefix, countOnly: true })).count,
    async findMention(prefix, text) {
      for (let key = prefix;;) {
        const { kvs, more } = await client.range({ key, below: prefix, limit: PAGE });
        const found = kvs.find(({ value }) => isEncrypted(value) || latin1.decode(value).includes(text));
        if (found !== undefined || !more) return found?.key;
        key = `${kvs.at(-1)!.key}\u0000`;
      }
    },
  };
}

/** Finds the collection of a key; undefined for a key that does not belong to an object. */
function findCollection(root: string, { key, value }: EtcdKeyValue): StoredCollection | undefined {
  const stored = findResourcePath(key.slice(root.length));
  if (stored === undefined) return undefined;
  const [first = "", second = ""] = stored.split("/");
  const isGrouped = isGroupSegment(first);
  const resource = isGrouped ? second : RESOURCES.get(stored) ?? stored;
  return { prefix: `${root}${stored}/`, group: isGrouped ? first : findGroup(value), resource };
}

/** Resources whose name in keys differs from the API's (`pkg/kubeapiserver/default_storage_factory_builder.go`). */
const RESOURCES: ReadonlyMap<string, string> = new Map([
  ["controllers", "replicationcontrollers"],
  ["ingress", "ingresses"],
  ["minions", "nodes"],
  ["services/endpoints", "endpoints"],
  ["services/specs", "services"],
]);

/** Finds the group in the apiVersion of a protobuf or JSON value; empty for a value that cannot be read. */
function findGroup(value: Uint8Array): string {
  try {
    const isJson = value[0] === OPENING_BRACE;
    const { apiVersion } = isJson ? JSON.parse(new TextDecoder().decode(value)) : decodeEnvelope(value);
    const [group = "", version] = String(apiVersion).split("/");
    return version === undefined ? "" : group;
  } catch {
    return "";
  }
}

const OPENING_BRACE = 0x7b;

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
  /** Whether encoding and decoding an object returns an equal object, with its members in the same order. */
  isDecoded(key: string, object: KubeObject): boolean;
}
