/**
 * The state machine that etcd's members replicate: keys with all their versions since the last compaction, and leases.
 * It is the state after the last committed entry; a member that is behind reads at an earlier revision (etcd
 * `server/storage/mvcc/kvstore.go`, `server/lease/lessor.go`).
 */
import type {
  ModelKeyValue,
  ModelOperation,
  ModelOperationAnswer,
  ModelRange,
  ModelRangeAnswer,
  ModelTransaction,
} from "./etcd_messages.ts";
import { GRPC_STATUS, GrpcError } from "../../server/storage/etcd/grpc.ts";

/** How far a member has applied the log. */
export interface ModelView {
  readonly revision: number;
  readonly compacted: number;
}

/** A change of a key; a deletion has no value and version 0. */
export interface ModelChange {
  readonly isDeletion: boolean;
  readonly kv: ModelKeyValue;
}

const NOTHING = new Uint8Array();
/** The largest number of operations of a transaction (`--max-txn-ops`). */
const MAX_OPERATIONS = 128;

export class EtcdStore {
  #revision = 1;
  #compacted = 0;
  /** Every version of a key since the last compaction, oldest first. */
  readonly #versions = new Map<string, ModelChange[]>();
  /** The keys of the versions, in order. */
  readonly #order: string[] = [];
  /** The changes from the revision of the last compaction on, in order. */
  #changes: ModelChange[] = [];
  readonly #leases = new Map<bigint, Set<string>>();

  get view(): ModelView {
    return { revision: this.#revision, compacted: this.#compacted };
  }

  /** Reads at a revision, on a member that has applied the log up to `view`. Throws GrpcError. */
  range(request: ModelRange, view: ModelView = this.view): ModelRangeAnswer {
    const { key, rangeEnd, limit, countOnly } = request;
    const revision = request.revision === 0 ? view.revision : request.revision;
    if (revision > view.revision) throw futureError();
    if (revision < view.compacted) throw compactedError();
    const found: ModelKeyValue[] = [];
    const keys = rangeEnd === "" ? [key] : this.#keysBetween(key, rangeEnd);
    for (const name of keys) {
      const kv = this.#find(name, revision);
      if (kv !== undefined) found.push(kv);
    }
    if (countOnly) return { kvs: [], more: false, count: found.length };
    const kvs = limit > 0 ? found.slice(0, limit) : found;
    return { kvs, more: kvs.length < found.length, count: found.length };
  }

  /** Applies a transaction completely or not at all. Throws GrpcError. */
  transact({ guards, success, failure }: ModelTransaction): {
    readonly succeeded: boolean;
    readonly answers: readonly ModelOperationAnswer[];
  } {
    const succeeded = guards.every(({ key, target, value }) =>
      (this.#find(key, this.#revision)?.[target] ?? 0) === value
    );
    const operations = succeeded ? success : failure;
    for (const operation of operations) {
      if (operation.kind === "put" && operation.lease !== 0n && !this.#leases.has(operation.lease)) throw leaseError();
    }
    const next = this.#revision + 1;
    const answers = operations.map((operation) => this.#perform(operation, next));
    if (this.#changes.at(-1)?.kv.modRevision === next) this.#revision = next;
    return { succeeded, answers };
  }

  /** Forgets the versions before a revision. Throws GrpcError. */
  compact(revision: number): void {
    if (revision <= this.#compacted) throw compactedError();
    if (revision > this.#revision) throw futureError();
    this.#compacted = revision;
  }

  /** Frees what no member can read any more; a watch may still begin at the compacted revision. */
  forgetBefore(revision: number): void {
    this.#changes = this.#changes.filter(({ kv }) => kv.modRevision >= revision);
    for (const [key, versions] of this.#versions) {
      const kept = versions.findLastIndex(({ kv }) => kv.modRevision <= revision);
      const isGone = kept >= 0 && versions[kept]!.isDeletion;
      if (kept > 0 || isGone) versions.splice(0, isGone ? kept + 1 : kept);
      if (versions.length > 0) continue;
      this.#versions.delete(key);
      this.#order.splice(this.#indexOf(key), 1);
    }
  }

  /** Returns the changes of a range of keys after one revision and up to another. */
  changes(key: string, rangeEnd: string, after: number, upTo: number): ModelChange[] {
    const found: ModelChange[] = [];
    for (let index = this.#changes.length - 1; index >= 0; index--) {
      const change = this.#changes[index]!;
      if (change.kv.modRevision <= after) break;
      if (change.kv.modRevision <= upTo && isBetween(change.kv.key, key, rangeEnd)) found.push(change);
    }
    return found.reverse();
  }

  grant(id: bigint): void {
    this.#leases.set(id, new Set());
  }

  /** Ends a lease and deletes its keys, in one revision. Throws GrpcError. */
  revoke(id: bigint): void {
    const keys = this.#leases.get(id);
    if (keys === undefined) throw leaseError();
    this.#leases.delete(id);
    const success = [...keys].sort().map((key) => ({ kind: "delete" as const, key }));
    if (success.length > 0) this.transact({ guards: [], success, failure: [] });
  }

  #perform(operation: ModelOperation, revision: number): ModelOperationAnswer {
    if (operation.kind === "range") return { kind: "range", range: this.range(operation.range) };
    const { key } = operation;
    const current = this.#find(key, this.#revision);
    if (operation.kind === "delete") {
      if (current === undefined) return { kind: "delete", deleted: 0 };
      this.#leases.get(current.lease)?.delete(key);
      const kv = { key, createRevision: 0, modRevision: revision, version: 0, value: NOTHING, lease: 0n };
      this.#add({ isDeletion: true, kv });
      return { kind: "delete", deleted: 1 };
    }
    const { value, lease } = operation;
    if (current !== undefined) this.#leases.get(current.lease)?.delete(key);
    this.#leases.get(lease)?.add(key);
    const { version, createRevision } = current ?? { version: 0, createRevision: revision };
    const kv = { key, createRevision, modRevision: revision, version: version + 1, value, lease };
    this.#add({ isDeletion: false, kv });
    return { kind: "put" };
  }

  #add(change: ModelChange): void {
    const { key } = change.kv;
    const versions = this.#versions.get(key);
    if (versions === undefined) {
      this.#versions.set(key, [change]);
      this.#order.splice(this.#indexOf(key), 0, key);
    } else versions.push(change);
    this.#changes.push(change);
  }

  /** Finds the state of a key at a revision; undefined if it did not exist. */
  #find(key: string, revision: number): ModelKeyValue | undefined {
    const change = this.#versions.get(key)?.findLast(({ kv }) => kv.modRevision <= revision);
    return change?.isDeletion === false ? change.kv : undefined;
  }

  #keysBetween(key: string, rangeEnd: string): readonly string[] {
    return this.#order.slice(this.#indexOf(key), this.#indexOf(rangeEnd));
  }

  /** Finds the index of the first key that is not less than `key`. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Checks a transaction as a member does before it proposes it. Throws GrpcError. */
export function checkTransaction({ guards, success, failure }: ModelTransaction): void {
  if (Math.max(guards.length, success.length, failure.length) > MAX_OPERATIONS) {
    throw new GrpcError(GRPC_STATUS.invalidArgument, "etcdserver: too many operations in txn request");
  }
  for (const operations of [success, failure]) {
    const put = operations.flatMap((operation) => operation.kind === "put" ? [operation.key] : []);
    const isDeleted = operations.some((operation) => operation.kind === "delete" && put.includes(operation.key));
    if (new Set(put).size === put.length && !isDeleted) continue;
    throw new GrpcError(GRPC_STATUS.invalidArgument, "etcdserver: duplicate key given in txn request");
  }
}

function isBetween(key: string, first: string, rangeEnd: string): boolean {
  return rangeEnd === "" ? key === first : key >= first && key < rangeEnd;
}

function futureError(): GrpcError {
  return new GrpcError(GRPC_STATUS.outOfRange, "etcdserver: mvcc: required revision is a future revision");
}

function compactedError(): GrpcError {
  return new GrpcError(GRPC_STATUS.outOfRange, "etcdserver: mvcc: required revision has been compacted");
}

function leaseError(): GrpcError {
  return new GrpcError(GRPC_STATUS.notFound, "etcdserver: requested lease not found");
}
