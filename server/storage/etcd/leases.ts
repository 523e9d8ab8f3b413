/**
 * Assigns leases to Event objects, so that etcd deletes them an hour after their last write (kube-apiserver
 * `--event-ttl`). Many Events share a lease, because one lease for each would be a burden for etcd
 * (`apiserver/pkg/storage/etcd3/lease_manager.go`).
 */
import { EVENTS_PREFIX } from "../../../core/kube/kinds/events_v1.ts";
import type { Clock } from "../../../core/ports.ts";
import type { EtcdClient } from "./client.ts";

/** The longest time for which new writes get the same lease. Events may live longer by up to this time. */
const MAX_REUSE_MS = 60_000;
/** The share of an Event's lifetime during which a lease is reused. */
const REUSE_SHARE = 0.05;
/** The largest number of keys per lease. */
const MAX_KEYS = 1_000;

interface Lease {
  readonly id: Promise<bigint>;
  readonly grantedAt: number;
  /** The id of the lease, set when etcd has answered. */
  granted?: bigint;
  keys: number;
}

/** Assigns leases to the keys of Events. */
export class EventLeases {
  readonly #client: Pick<EtcdClient, "grantLease">;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  #lease: Lease | undefined;

  constructor(client: Pick<EtcdClient, "grantLease">, clock: Clock, ttlMs: number) {
    this.#client = client;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  /** Returns the lease for a key; undefined for a key that does not expire. */
  async leaseFor(key: string): Promise<bigint | undefined> {
    if (!key.startsWith(EVENTS_PREFIX)) return undefined;
    const now = this.#clock.elapsedMs();
    const reuseMs = Math.min(MAX_REUSE_MS, this.#ttlMs * REUSE_SHARE);
    const known = this.#lease;
    const isUsable = known !== undefined && known.keys < MAX_KEYS && now - known.grantedAt < reuseMs;
    const lease = isUsable ? known : this.#grant(now, reuseMs);
    lease.keys++;
    return await lease.id;
  }

  /** Stops using a lease that has ended early. */
  forget(id: bigint): void {
    if (this.#lease?.granted === id) this.#lease = undefined;
  }

  #grant(now: number, reuseMs: number): Lease {
    const id = this.#client.grantLease(Math.ceil((this.#ttlMs + reuseMs) / 1000));
    const lease: Lease = { id, grantedAt: now, keys: 0 };
    this.#lease = lease;
    id.then((granted) => {
      lease.granted = granted;
    }, () => {
      if (this.#lease === lease) this.#lease = undefined;
    });
    return lease;
  }
}
