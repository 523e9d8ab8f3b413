/**
 * Transactions of a store: several writes that all take effect, or none of them. Single writes are transactions too.
 * The size limits of objects are the defaults of etcd and its client, so that the built-in store accepts and refuses
 * the same objects, with the same messages.
 */
import { AppError, isAppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { TLSBOOT_GROUP } from "../../core/kube/kinds/constants.ts";
import {
  AlreadyExistsError,
  RevisionConflictError,
  type StorageEvent,
  type Stored,
  type Write,
  WriteRefusedError,
} from "./storage.ts";
import { encodeTransaction, type GuardedWrite } from "./etcd/wire.ts";

/** Implements the single writes of a store with its transactions. */
export abstract class SingleWrites {
  abstract transact(writes: readonly Write[]): Promise<readonly StorageEvent[]>;

  async create(key: string, object: KubeObject): Promise<Stored> {
    return (await this.#write({ kind: "create", key, object })).current!;
  }

  async update(key: string, object: KubeObject, expectedRevision: number): Promise<Stored> {
    return (await this.#write({ kind: "update", key, object, expectedRevision })).current!;
  }

  async delete(
    key: string,
    expectedRevision: number,
  ): Promise<{ readonly previous: Stored; readonly revision: number }> {
    const { previous, revision } = await this.#write({ kind: "delete", key, expectedRevision });
    return { previous: previous!, revision };
  }

  async #write(write: Write): Promise<StorageEvent> {
    return (await this.transact([write]))[0]!;
  }
}

const ATTEMPTS = 10;

/**
 * Runs a read and a write that is guarded by it, and repeats both when another server on the same storage has written
 * the object meanwhile.
 */
export async function retryRaces<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (!isAppError(error, "conflict", "already_exists") || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Throws AppError `internal` for a transaction that writes a key twice. */
export function assertTransaction(writes: readonly Write[]): void {
  if (writes.length < 2) return;
  const keys = new Set<string>();
  for (const { key } of writes) {
    if (keys.has(key)) throw new AppError("internal", `cannot write "${key}" twice in one transaction`);
    keys.add(key);
  }
}

/**
 * Throws AppError `internal` for a transaction that writes two objects of one resource. In etcd both would get the same
 * resourceVersion. A client whose watch ends between their changes continues after that version and never receives the
 * second (client-go `tools/cache/reflector.go`), and the same can happen with a list from kube-apiserver's watch cache
 * (`apiserver/pkg/storage/cacher/watch_cache.go`).
 */
export function assertOneOfEachResource(writes: readonly Write[]): void {
  if (writes.length < 2) return;
  const keys = new Map<string, string>();
  for (const { key } of writes) {
    const resource = findResourcePath(key.slice(ROOT.length)) ?? key;
    const earlier = keys.get(resource);
    if (earlier !== undefined) {
      throw new AppError(
        "internal",
        `cannot write "${earlier}" and "${key}" in one transaction: a watch can lose one of two changes of a resource ` +
          "that have the same resourceVersion",
      );
    }
    keys.set(resource, key);
  }
}

const ROOT = "/registry/";

/**
 * Finds the part of a path below `/registry/` that identifies the resource: `<resource>/[<namespace>/]<name>`, or
 * `<group>/<resource>/[<namespace>/]<name>` for custom resources, whose groups have a dot (apiextensions-apiserver
 * `validation.go`), for aggregated APIs, and for ours. Two core resources share their first segment. Undefined for a
 * path that does not belong to an object.
 */
export function findResourcePath(path: string): string | undefined {
  const segments = path.split("/");
  const depth = isGroupSegment(segments[0]!) || segments[0] === "services" ? 2 : 1;
  return segments.length > depth ? segments.slice(0, depth).join("/") : undefined;
}

/** True for a first segment that is an API group. */
export function isGroupSegment(segment: string): boolean {
  return segment.includes(".") || segment === TLSBOOT_GROUP;
}

/**
 * Finds the error of the first write whose condition is false for the current states of the keys; undefined when all
 * are true.
 */
export function findConflict(
  writes: readonly Write[],
  getCurrent: (key: string) => Stored | undefined,
): AlreadyExistsError | RevisionConflictError | undefined {
  for (const write of writes) {
    const { key } = write;
    const current = getCurrent(key);
    if (write.kind !== "create") {
      if (current?.revision !== write.expectedRevision) return new RevisionConflictError(key, current);
    } else if (current !== undefined) return new AlreadyExistsError(key);
  }
  return undefined;
}

/** The largest request that etcd accepts (`--max-request-bytes`, 1.5 MiB by default). */
const MAX_REQUEST_BYTES = 1_572_864;
/** The bytes that etcd adds to a transaction: its length and the number of the request (`InternalRaftRequest`). */
const RAFT_BYTES = 17;
/** The largest message that kube-apiserver sends to etcd (`clientv3` defaultMaxCallSendMsgSize). */
const MAX_MESSAGE_BYTES = 2_097_152;

/** Throws WriteRefusedError for a transaction that is too large for kube-apiserver to send. */
export function assertSendable(writes: readonly GuardedWrite[]): void {
  const size = encodeTransaction(writes).length;
  if (size <= MAX_MESSAGE_BYTES) return;
  const what = `trying to send message larger than max (${size} vs. ${MAX_MESSAGE_BYTES})`;
  throw new WriteRefusedError(`rpc error: code = ResourceExhausted desc = ${what}`, "tooLarge");
}

/** Throws WriteRefusedError for a transaction that etcd would refuse. */
export function assertAcceptable(writes: readonly GuardedWrite[]): void {
  assertSendable(writes);
  if (encodeTransaction(writes).length + RAFT_BYTES > MAX_REQUEST_BYTES) {
    throw new WriteRefusedError("etcdserver: request is too large", "tooLarge");
  }
}
