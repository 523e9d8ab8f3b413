/**
 * Calls to an etcd of one or more members over gRPC. One member is used at a time; when it does not answer, the next
 * one is tried. Reads are retried. Writes are retried only if they were never sent, because otherwise they may have
 * been applied.
 */
import { Buffer } from "node:buffer";
import { createSecureContext } from "node:tls";
import { type After, runAfter } from "../storage.ts";
import { etcdError, isCompacted, isUnanswered } from "./errors.ts";
import { GRPC_STATUS, GrpcChannel, GrpcError, type GrpcServer } from "./grpc.ts";
import {
  decodeEtcdStatus,
  decodeLeaseGrant,
  decodeRange,
  decodeTransaction,
  decodeWatch,
  encodeCompaction,
  encodeLeaseGrant,
  encodeMove,
  encodeRange,
  encodeTransaction,
  encodeWatch,
  endOfPrefix,
  type EtcdKeyValue,
  type EtcdStatus,
  type GuardedWrite,
  type RangeRequest,
  type RangeResponse,
  type TransactionResponse,
  type WatchResponse,
} from "./wire.ts";
import { toKeysPrefix } from "./prefix.ts";

/** One call of etcd that has ended. */
export interface EtcdCall {
  /** The name of the operation in kube-apiserver, or `transact` for several writes, which kube-apiserver never makes. */
  readonly operation: "create" | "update" | "delete" | "transact" | "get" | "list" | "getCurrentResourceVersion";
  /** The key of the call, the first of several, or the prefix of keys. */
  readonly key: string;
  readonly seconds: number;
  readonly failed: boolean;
}

/** Observes each call, and how far the mirror is behind etcd. */
export interface EtcdObserver {
  called(call: EtcdCall): void;
  /** Called with the seconds from the request for a revision until its changes arrived. */
  caughtUp(seconds: number): void;
  /** Called when the watch that delivers the changes has ended unexpectedly. */
  watchBroke(): void;
}

/** The address of an etcd, and our credentials for it. */
export interface EtcdEndpoints {
  /** `http://` or `https://` with host and port, all of one scheme. */
  readonly servers: readonly string[];
  /** PEM bundle of the CAs that its members are verified with; undefined for the system's. */
  readonly caPem: string | undefined;
  /** Our client certificate, PEM; undefined for none. */
  readonly certificate: { readonly certificatePem: string; readonly keyPem: string } | undefined;
  /** The prefix that replaces `/registry` in etcd (`--etcd-prefix`). */
  readonly prefix: string;
}

/** The observer of calls; `nowMs` is a monotonic clock. */
export interface EtcdObservation {
  readonly observer: EtcdObserver;
  readonly nowMs: () => number;
}

const OUR_PREFIX = "/registry/";

/** A read of one key, or of all keys below a prefix from that key on. */
export interface ReadRequest extends Omit<RangeRequest, "rangeEnd"> {
  readonly below?: string;
}

/** How long a read waits for one member before it tries another one, in milliseconds. */
const READ_TIMEOUT_MS = 3_000;
/** How long a write may take, in milliseconds; etcd itself gives up after about seven seconds. */
const WRITE_TIMEOUT_MS = 10_000;
/** The pause between attempts with two members, in milliseconds. */
const RETRY_MS = 100;

/** A running watch stream of one member. */
export interface EtcdWatch {
  /** Requests the revision of etcd; the answer is a response without events. */
  requestProgress(): void;
  /** Stops the watch. An error is passed to `onEnd`, and the next watch then goes to another member. */
  stop(error?: Error): void;
}

/** The parts of a client that tests replace. */
export interface EtcdClientParts {
  readonly members?: readonly GrpcServer[];
  readonly after?: After;
}

export class EtcdClient {
  readonly #members: readonly GrpcServer[];
  readonly #after: After;
  readonly #prefix: string;
  /** The member that the next call goes to. */
  #preferred = 0;

  readonly #observation: EtcdObservation | undefined;

  constructor(endpoints: EtcdEndpoints, observation?: EtcdObservation, parts: EtcdClientParts = {}) {
    this.#after = parts.after ?? runAfter;
    this.#observation = observation;
    this.#prefix = toKeysPrefix(endpoints.prefix);
    this.#members = parts.members ?? connect(endpoints);
  }

  async statuses(): Promise<readonly EtcdStatus[]> {
    const answers = await Promise.allSettled(this.#members.map((_, index) => this.#status(index)));
    return answers.flatMap((answer) => answer.status === "fulfilled" ? [answer.value] : []);
  }

  async status(): Promise<EtcdStatus> {
    return await this.#retry((index) => this.#status(index));
  }

  /** Reads keys, linearizably unless at a past revision. It tries every member before it gives up. */
  async range(request: ReadRequest): Promise<RangeResponse> {
    const { below, ...rest } = request;
    const range = {
      ...rest,
      key: this.#toEtcdKey(request.key),
      rangeEnd: below && endOfPrefix(this.#toEtcdKey(below)),
    };
    const answer = decodeRange(
      await this.#observe(
        toReadOperation(request),
        request.key,
        () => this.#retry((index) => this.#call(index, "/etcdserverpb.KV/Range", encodeRange(range), READ_TIMEOUT_MS)),
      ),
    );
    return { ...answer, kvs: answer.kvs.map((kv) => this.#toOurs(kv)) };
  }

  /** Returns the revision that etcd has compacted up to; 0 when it has compacted nothing. */
  async compactedRevision(prefix: string): Promise<number> {
    try {
      await this.range({ key: prefix, revision: 1, countOnly: true });
      return 0;
    } catch (error) {
      if (!isCompacted(error)) throw error;
    }
    return await this.#retry(() => this.#readCompacted(prefix));
  }

  /** Makes one or more writes of different keys if all guards are true. */
  async write(writes: readonly GuardedWrite[]): Promise<TransactionResponse> {
    const message = encodeTransaction(writes.map((write) => ({ ...write, key: this.#toEtcdKey(write.key) })));
    return decodeTransaction(
      await this.#observe(
        toWriteOperation(writes),
        writes[0]?.key ?? "",
        () => this.#callOnce("/etcdserverpb.KV/Txn", message, WRITE_TIMEOUT_MS),
      ),
    );
  }

  /** Renames a key, without adding the prefix to the new name. False when the key was written in the meantime. */
  async move(kv: EtcdKeyValue, to: string): Promise<boolean> {
    const message = encodeMove({ ...kv, key: this.#toEtcdKey(kv.key) }, to);
    return decodeTransaction(await this.#callOnce("/etcdserverpb.KV/Txn", message, WRITE_TIMEOUT_MS)).succeeded;
  }

  /** Compacts the history before a revision. */
  async compact(revision: number): Promise<void> {
    await this.#callOnce("/etcdserverpb.KV/Compact", encodeCompaction(revision), WRITE_TIMEOUT_MS);
  }

  /** Grants a lease that expires after a time. */
  async grantLease(ttlSeconds: number): Promise<bigint> {
    return decodeLeaseGrant(
      await this.#callOnce("/etcdserverpb.Lease/LeaseGrant", encodeLeaseGrant(ttlSeconds), WRITE_TIMEOUT_MS),
    );
  }

  /**
   * Follows all keys below a prefix from a revision on. `onEnd` is called once, with the error if there is one; the next
   * watch then goes to another member.
   */
  watch(
    prefix: string,
    startRevision: number,
    onResponse: (response: WatchResponse) => void,
    onEnd: (error: unknown) => void,
  ): EtcdWatch {
    const index = this.#preferred;
    const key = this.#toEtcdKey(prefix);
    let ended = false;
    const end = (error: unknown) => {
      if (ended) return;
      ended = true;
      call.cancel();
      if (error !== undefined) this.#prefer(index + 1);
      onEnd(error === undefined ? undefined : etcdError("follow", error));
    };
    const call = this.#members[index]!.begin(
      "/etcdserverpb.Watch/Watch",
      encodeWatch({ key, rangeEnd: endOfPrefix(key), startRevision }),
      {
        onMessage: (bytes) => {
          if (ended) return;
          const response = decodeWatch(bytes);
          onResponse({
            ...response,
            events: response.events.map((event) => ({ ...event, kv: this.#toOurs(event.kv) })),
          });
        },
        onEnd: (error) => end(error ?? unanswered("etcd ended the watch")),
      },
      true,
    );
    return {
      requestProgress: () => void (ended || call.write(encodeWatch("progress"))),
      stop: (error?: Error) => end(error),
    };
  }

  close(): void {
    for (const member of this.#members) member.close();
  }

  async #observe<T>(operation: EtcdCall["operation"], key: string, call: () => Promise<T>): Promise<T> {
    if (this.#observation === undefined) return await call();
    const { observer, nowMs } = this.#observation;
    const startedAt = nowMs();
    let failed = true;
    try {
      const answer = await call();
      failed = false;
      return answer;
    } finally {
      observer.called({ operation, key, seconds: (nowMs() - startedAt) / 1000, failed });
    }
  }

  async #retry<T>(call: (index: number) => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      const index = this.#preferred;
      try {
        return await call(index);
      } catch (error) {
        if (!isUnanswered(error)) throw etcdError("read", error);
        this.#prefer(index + 1);
        if (attempt >= this.#members.length) throw etcdError("read", error);
        await new Promise<void>((resolve) => this.#after(RETRY_MS, resolve));
      }
    }
  }

  /** Tries the next member only when there was no connection, so that no call is sent twice. */
  async #callOnce(path: string, message: Buffer, timeoutMs: number): Promise<Buffer> {
    for (let attempt = 1;; attempt++) {
      const index = this.#preferred;
      try {
        return await this.#call(index, path, message, timeoutMs);
      } catch (error) {
        if (isUnanswered(error)) this.#prefer(index + 1);
        if (!(error instanceof GrpcError && error.isUnsent) || attempt >= this.#members.length) {
          throw etcdError("write", error);
        }
      }
    }
  }

  #call(index: number, path: string, message: Buffer, timeoutMs: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let answer: Buffer | undefined;
      const call = this.#members[index]!.begin(path, message, {
        onMessage: (bytes) => answer = bytes,
        onEnd: (error) => {
          cancelTimer();
          if (answer !== undefined && error === undefined) resolve(answer);
          else reject(error ?? unanswered("no answer"));
        },
      }, false);
      // A cancelled call ends with its own error.
      const cancelTimer = this.#after(timeoutMs, () => call.cancel());
    });
  }

  async #status(index: number): Promise<EtcdStatus> {
    return decodeEtcdStatus(
      await this.#call(index, "/etcdserverpb.Maintenance/Status", Buffer.alloc(0), READ_TIMEOUT_MS),
    );
  }

  /** Reads the compacted revision from a watch that starts before it, the only place where etcd reports it. */
  #readCompacted(prefix: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const watch = this.watch(
        prefix,
        1,
        ({ compactRevision }) => {
          if (compactRevision === 0) return;
          resolve(compactRevision);
          watch.stop();
        },
        (error) => {
          cancelTimer();
          reject(error);
        },
      );
      const cancelTimer = this.#after(READ_TIMEOUT_MS, () => watch.stop(unanswered("no answer in time")));
    });
  }

  #toEtcdKey(key: string): string {
    return key.startsWith(OUR_PREFIX) ? `${this.#prefix}${key.slice(OUR_PREFIX.length)}` : key;
  }

  #toOurs(kv: EtcdKeyValue): EtcdKeyValue {
    return this.#prefix === OUR_PREFIX ? kv : { ...kv, key: `${OUR_PREFIX}${kv.key.slice(this.#prefix.length)}` };
  }

  #prefer(index: number): void {
    this.#preferred = index % this.#members.length;
  }
}

function connect({ servers, caPem, certificate }: EtcdEndpoints): GrpcServer[] {
  const secureContext = createSecureContext({
    minVersion: "TLSv1.2",
    ca: caPem,
    ...(certificate === undefined ? {} : { cert: certificate.certificatePem, key: certificate.keyPem }),
  });
  return servers.map((server) => new GrpcChannel(new URL(server), secureContext));
}

function unanswered(message: string): GrpcError {
  return new GrpcError(GRPC_STATUS.unavailable, message);
}

function toReadOperation({ below, countOnly = false, revision }: ReadRequest): EtcdCall["operation"] {
  if (countOnly && revision === undefined) return "getCurrentResourceVersion";
  return below === undefined ? "get" : "list";
}

function toWriteOperation(writes: readonly GuardedWrite[]): EtcdCall["operation"] {
  const [write] = writes;
  if (write === undefined || writes.length > 1) return "transact";
  const { guard, value } = write;
  if (value === undefined) return "delete";
  return ("version" in guard ? guard.version : guard.modRevision) === 0 ? "create" : "update";
}
