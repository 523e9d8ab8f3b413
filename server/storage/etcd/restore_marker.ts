/** Finds the marker of a restore that is not finished, and refuses to use the prefix while there is one. */
import { Buffer } from "node:buffer";
import { parseRestoreMarker, RESTORE_MARKER_KEY, type RestoreMarker } from "./restore_plan.ts";
import { AppError } from "../../../core/errors.ts";
import type { EtcdClient } from "./client.ts";
import type { EtcdKeyValue } from "./wire.ts";
import { plainPrefix } from "./prefix.ts";

export interface FoundMarker {
  readonly marker: RestoreMarker;
  readonly modRevision: number;
}

/** Finds the marker. Throws AppError `storage_corrupt` for one that cannot be read. */
export async function findRestoreMarker(client: Pick<EtcdClient, "range">): Promise<FoundMarker | undefined> {
  return markerAmong((await client.range({ key: RESTORE_MARKER_KEY })).kvs);
}

function markerAmong(kvs: readonly EtcdKeyValue[]): FoundMarker | undefined {
  const kv = kvs.find(({ key }) => key === RESTORE_MARKER_KEY);
  return kv === undefined ? undefined : { marker: readMarker(kv), modRevision: kv.modRevision };
}

function readMarker({ value }: EtcdKeyValue): RestoreMarker {
  const marker = parseRestoreMarker(Buffer.from(value).toString("utf8"));
  if (marker.ok) return marker.value;
  throw new AppError("storage_corrupt", `cannot read "${RESTORE_MARKER_KEY}" in etcd: ${marker.error}`, {
    hint: "a restore was not finished there: continue with the tlsboot that began it",
  });
}

/** Throws AppError `storage_corrupt` while a restore is under way below the prefix, or was interrupted. */
export async function assertNotRestoring(client: Pick<EtcdClient, "range">, prefix: string): Promise<void> {
  assertNoMarker((await client.range({ key: RESTORE_MARKER_KEY })).kvs, prefix);
}

/** Checks keys that were already read below the prefix in the same way. */
export function assertNoMarker(kvs: readonly EtcdKeyValue[], prefix: string): void {
  const found = markerAmong(kvs);
  if (found === undefined) return;
  const place = `"${plainPrefix(prefix)}" in etcd`;
  throw new AppError(
    "storage_corrupt",
    `cannot use what is below ${place}: a restore of the backup of ${found.marker.createdAt} is not finished`,
    {
      hint:
        "wait for tlsboot restore if it still runs; otherwise run the same command again, it continues where it ended",
    },
  );
}
