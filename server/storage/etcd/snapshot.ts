/** Everything below a prefix of an etcd at one revision, read for a backup; no server has to run. */
import { Buffer } from "node:buffer";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { EtcdClient, type EtcdEndpoints } from "./client.ts";
import { isCompacted } from "./errors.ts";
import { assertReleases } from "./release.ts";
import { assertNoMarker } from "./restore_marker.ts";
import type { EtcdKeyValue } from "./wire.ts";
import { createStored } from "../stored.ts";
import { plainPrefix } from "./prefix.ts";
import type { Stored } from "../storage.ts";
import type { StoredValues } from "../stored_values.ts";

/** What was there. */
export interface EtcdSnapshot {
  readonly revision: number;
  readonly items: readonly Stored[];
  /** Keys of what is not served here, which are not among the items. */
  readonly leftOut: readonly string[];
  /** Keys of items that hold more than is known here. */
  readonly reduced: readonly string[];
}

/** Where to read. */
export interface EtcdSnapshotDeps {
  readonly endpoints: EtcdEndpoints;
  readonly values: StoredValues;
}

/** How many keys one read takes. */
const PAGE = 1_000;
/** Attempts while etcd forgets what is being read. */
const ATTEMPTS = 5;

/**
 * Reads it. AppError `unreachable`, `io`; `not_found` where nothing is below the prefix; `storage_corrupt` where a value
 * cannot be read, since a backup without it would look whole, or a restore is not finished.
 */
export async function readEtcdSnapshot({ endpoints, values }: EtcdSnapshotDeps): Promise<EtcdSnapshot> {
  const client = new EtcdClient(endpoints);
  try {
    assertReleases(await client.statuses());
    const { revision, kvs } = await readBelow(client, values.root);
    assertNoMarker(kvs, endpoints.prefix);
    const snapshot = sort(kvs, values);
    if (snapshot.items.length > 0) return { revision, ...snapshot };
    throw new AppError("not_found", `cannot back up: no object is below "${plainPrefix(endpoints.prefix)}" in etcd`, {
      hint: "check --etcd-servers and --etcd-prefix",
    });
  } finally {
    client.close();
  }
}

/** All keys below a prefix, at one revision. */
export async function readBelow(
  client: Pick<EtcdClient, "range">,
  prefix: string,
): Promise<{ readonly revision: number; readonly kvs: readonly EtcdKeyValue[] }> {
  for (let attempt = 1;; attempt++) {
    try {
      return await readPages(client, prefix);
    } catch (error) {
      if (attempt === ATTEMPTS || !isCompacted(error)) throw error;
    }
  }
}

async function readPages(client: Pick<EtcdClient, "range">, prefix: string) {
  const kvs: EtcdKeyValue[] = [];
  let revision: number | undefined;
  let key = prefix;
  while (true) {
    const page = await client.range({
      key,
      below: prefix,
      limit: PAGE,
      ...(revision === undefined ? {} : { revision }),
    });
    revision ??= page.revision;
    // Not spread into arguments: the stack has room for some ten thousand.
    for (const kv of page.kvs) kvs.push(kv);
    if (!page.more) return { revision, kvs };
    key = `${page.kvs.at(-1)!.key}\u0000`;
  }
}

function sort(kvs: readonly EtcdKeyValue[], values: StoredValues): Omit<EtcdSnapshot, "revision"> {
  const items: Stored[] = [];
  const leftOut: string[] = [];
  const reduced: string[] = [];
  for (const { key, value, modRevision } of kvs) {
    const object = decode(values, key, value);
    if (object === undefined) {
      leftOut.push(key);
      continue;
    }
    items.push(createStored(key, object, modRevision));
    // What is not known is lost by decoding it.
    if (!Buffer.from(value).equals(values.encode(key, object))) reduced.push(key);
  }
  return { items, leftOut, reduced };
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
