/**
 * Event objects end with a lease, an hour after their last write (kube-apiserver `--event-ttl`). A lease serves many
 * Events: etcd would suffer from one each.
 */
import type { Clock } from "../../../core/ports.ts";
import type { EtcdClient } from "./client.ts";

/** Where `core/v1` and `events.k8s.io` Events are kept. */
const EVENTS_PREFIX = "/registry/events/";
/** One lease serves writes for so long, at most; Events live longer by as much, at most. */
const MAX_REUSE_MS = 60_000;
/** The share of an Event's life for which a lease is used again. */
const REUSE_SHARE = 0.05;
/** A lease has at most so many keys. */
const MAX_KEYS = 1_000;

interface Lease {
  readonly id: Promise<bigint>;
  readonly grantedAt: number;
  /** The number, once etcd has answered. */
  granted?: bigint;
  keys: number;
}

/** Gives keys their leases. */
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

  /** The lease that the value of a key gets; undefined for one that stays. */
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

  /** A lease has ended early. */
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
