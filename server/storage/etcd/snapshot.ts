/** Reads everything below a prefix of an etcd at one revision, for a backup. No server needs to run. */
import { Buffer } from "node:buffer";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { EtcdClient, type EtcdEndpoints } from "./client.ts";
import { assertReleases, retryCompacted } from "./errors.ts";
import { assertNoMarker } from "./restore_marker.ts";
import type { EtcdKeyValue } from "./wire.ts";
import { createStored } from "../stored.ts";
import { normalizePrefix } from "./prefix.ts";
import type { Stored } from "../storage.ts";
import type { StoredValues } from "./contents.ts";

export interface EtcdSnapshot {
  readonly revision: number;
  readonly items: readonly Stored[];
  /** The keys of unserved objects, which are not among the items. */
  readonly omitted: readonly string[];
  /** The keys of items whose unknown fields were dropped. */
  readonly pruned: readonly string[];
}

/** The etcd to read, and the encoding of its values. */
export interface EtcdSnapshotDeps {
  readonly endpoints: EtcdEndpoints;
  readonly values: StoredValues;
}

/** The number of keys that one read returns. */
const PAGE = 1_000;

/**
 * Reads the snapshot. Throws AppError `unreachable` or `io`; `not_found` when there are no objects below the prefix;
 * `storage_corrupt` when a restore is not finished, or a value cannot be read, because a backup without it would look
 * complete.
 */
export async function readEtcdSnapshot({ endpoints, values }: EtcdSnapshotDeps): Promise<EtcdSnapshot> {
  const client = new EtcdClient(endpoints);
  try {
    assertReleases(await client.statuses());
    const { revision, kvs } = await readBelow(client, values.root);
    assertNoMarker(kvs, endpoints.prefix);
    const snapshot = decodeSnapshot(kvs, values);
    if (snapshot.items.length > 0) return { revision, ...snapshot };
    throw new AppError(
      "not_found",
      `cannot back up: etcd has no objects below "${normalizePrefix(endpoints.prefix)}"`,
      { hint: "check the setting etcdServers and the setting etcdPrefix" },
    );
  } finally {
    client.close();
  }
}

/** Reads all keys below a prefix at one revision. */
export async function readBelow(
  client: Pick<EtcdClient, "range">,
  prefix: string,
): Promise<{ readonly revision: number; readonly kvs: readonly EtcdKeyValue[] }> {
  return await retryCompacted(() => readPages(client, prefix));
}

async function readPages(client: Pick<EtcdClient, "range">, prefix: string) {
  const kvs: EtcdKeyValue[] = [];
  let revision: number | undefined;
  let key = prefix;
  while (true) {
    const page = await client.range({ key, below: prefix, limit: PAGE, revision });
    revision ??= page.revision;
    // The keys are not spread into arguments, because the stack has room for only about ten thousand.
    for (const kv of page.kvs) kvs.push(kv);
    if (!page.more) return { revision, kvs };
    key = `${page.kvs.at(-1)!.key}\u0000`;
  }
}

/**
 * Decodes the values that are served here, and lists the others. Throws like `readEtcdSnapshot` for a malformed value.
 */
export function decodeSnapshot(kvs: readonly EtcdKeyValue[], values: StoredValues): Omit<EtcdSnapshot, "revision"> {
  const items: Stored[] = [];
  const omitted: string[] = [];
  const pruned: string[] = [];
  for (const { key, value, modRevision } of kvs) {
    const object = decode(values, key, value);
    if (object === undefined) {
      omitted.push(key);
      continue;
    }
    items.push(createStored(key, object, modRevision));
    // Decoding drops unknown fields, so the encoded value then differs.
    if (!Buffer.from(value).equals(values.encode(key, object))) pruned.push(key);
  }
  return { items, omitted, pruned };
}

function decode(values: StoredValues, key: string, value: Uint8Array) {
  try {
    return values.decode(key, value);
  } catch (error) {
    throw new AppError("storage_corrupt", `cannot back up: ${getErrorMessage(error)}`, {
      cause: error,
      hint: "save etcd with etcdctl snapshot save, which takes values as they are; or delete the key with etcdctl",
    });
  }
}
