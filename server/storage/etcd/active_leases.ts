/** Detects servers and controllers that use an etcd prefix at this moment, by the Leases that they renew. */
import type { Lease } from "../../../core/kube/kinds/coordination_v1.ts";
import { AppError } from "../../../core/errors.ts";
import type { EtcdClient } from "./client.ts";
import type { StoredValues } from "./contents.ts";

/** The Leases of `up`, kube-apiserver and kube-controller-manager; those of nodes are elsewhere. */
const LEASES = "/registry/leases/kube-system/";
/** kube-apiserver renews every ten seconds, the others more often. */
const FRESH_MS = 30_000;

/** Throws AppError `storage_locked` that names the holder of a Lease which was renewed recently. */
export async function assertNoActiveLease(
  client: Pick<EtcdClient, "range">,
  values: Pick<StoredValues, "decode">,
  now: Date,
): Promise<void> {
  const { kvs } = await client.range({ key: LEASES, below: LEASES });
  for (const { key, value } of kvs) {
    const { holderIdentity = "", renewTime = "" } = decodeLease(values, key, value)?.spec ?? {};
    const ageMs = now.getTime() - Date.parse(renewTime);
    if (holderIdentity === "" || !(Math.abs(ageMs) < FRESH_MS)) continue;
    const seconds = Math.abs(Math.round(ageMs / 1000));
    const when = ageMs < 0 ? `${seconds} s ahead of this machine's clock` : `${seconds} s ago`;
    throw new AppError(
      "storage_locked",
      `cannot put aside what is in etcd: "${holderIdentity}" has renewed "${key}" ${when}`,
      { hint: "stop every server and controller that uses it, wait for half a minute, and try again" },
    );
  }
}

/** Decodes a Lease; undefined for a value that cannot be read, which is put aside unchanged. */
function decodeLease(values: Pick<StoredValues, "decode">, key: string, value: Uint8Array): Lease | undefined {
  try {
    return values.decode(key, value) as Lease | undefined;
  } catch {
    return undefined;
  }
}
