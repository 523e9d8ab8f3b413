/**
 * The size limits of objects: the defaults of etcd and its client, so that the built-in store accepts and refuses the same
 * objects, with the same messages.
 */
import { encodeTransaction, type GuardedWrite } from "./etcd/wire.ts";
import { WriteRefusedError } from "./storage.ts";

/** The largest request that etcd accepts (`--max-request-bytes`, 1.5 MiB by default). */
const MAX_REQUEST_BYTES = 1_572_864;
/** The bytes that etcd adds to a transaction: its length and the number of the request (`InternalRaftRequest`). */
const RAFT_BYTES = 17;
/** The largest message that kube-apiserver sends to etcd (`clientv3` defaultMaxCallSendMsgSize). */
const MAX_MESSAGE_BYTES = 2_097_152;

/** Throws WriteRefusedError for a transaction that kube-apiserver would not even send. */
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
