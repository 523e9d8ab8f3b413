/**
 * What an etcd holds below our keys, whether the API serves it or not. A kube-apiserver that shares the etcd keeps kinds
 * there that are not served here; controllers have to know of them before they act.
 */
import { Buffer } from "node:buffer";
import { decodeEnvelope } from "../../../core/kube/codec/protobuf.ts";
import type { EtcdClient } from "./client.ts";
import { endOfPrefix, type EtcdKeyValue } from "./wire.ts";

/** The objects of one kind in a store. */
export interface StoredCollection {
  /** What their keys begin with; ends in `/`. */
  readonly prefix: string;
  /** Empty for the core group, and where the stored values do not name it. */
  readonly group: string;
  /** The plural name in the API. */
  readonly resource: string;
}

/** Asks a store that other API servers write to what is in it. Every answer is as new as etcd's majority knows it. */
export interface StoreContents {
  /** Every collection that holds at least one object, in the order of keys. */
  collections(): Promise<readonly StoredCollection[]>;
  /** How many keys begin with a prefix. */
  count(prefix: string): Promise<number>;
  /**
   * The first key below a prefix whose value contains a text, such as a uid, or whose value kube-apiserver has encrypted:
   * then nobody can tell.
   */
  findMention(prefix: string, text: string): Promise<string | undefined>;
}

/** Every byte is a character: a value that is not text is searched as well. */
const latin1 = new TextDecoder("latin1");
/** How many values one read takes. */
const PAGE = 500;
/** How kube-apiserver marks a value that it has encrypted (`--encryption-provider-config`). */
const ENCRYPTED = Buffer.from("k8s:enc:");

/** True for a value that kube-apiserver has encrypted with keys of its own. */
export function isEncrypted(value: Uint8Array): boolean {
  return ENCRYPTED.equals(value.subarray(0, ENCRYPTED.length));
}

/** Asks an etcd; `root` is what all keys begin with. */
export function createStoreContents(client: Pick<EtcdClient, "range">, root: string): StoreContents {
  return {
    async collections() {
      const found: StoredCollection[] = [];
      // One read for each collection, however many objects it has: from the first key of one to the end of its prefix.
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

/**
 * The collection that a key belongs to: `<resource>/[<namespace>/]<name>`, or `<group>/<resource>/[<namespace>/]<name>`
 * for custom resources, whose groups have a dot (apiextensions-apiserver `validation.go`), and for aggregated APIs. Two
 * core resources share their first segment. Undefined for a key that is no object's.
 */
function findCollection(root: string, { key, value }: EtcdKeyValue): StoredCollection | undefined {
  const segments = key.slice(root.length).split("/");
  const [first = "", second = ""] = segments;
  const isGrouped = first.includes(".");
  const depth = isGrouped || first === "services" ? 2 : 1;
  if (segments.length <= depth) return undefined;
  const stored = segments.slice(0, depth).join("/");
  const resource = isGrouped ? second : RESOURCES.get(stored) ?? stored;
  return { prefix: `${root}${stored}/`, group: isGrouped ? first : findGroup(value), resource };
}

/** Where the name in a key is not that in the API (`pkg/kubeapiserver/default_storage_factory_builder.go`). */
const RESOURCES: ReadonlyMap<string, string> = new Map([
  ["controllers", "replicationcontrollers"],
  ["ingress", "ingresses"],
  ["minions", "nodes"],
  ["services/endpoints", "endpoints"],
  ["services/specs", "services"],
]);

/** The group in the apiVersion of a value, which is protobuf or JSON. A value that kube-apiserver encrypted has none to read. */
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
