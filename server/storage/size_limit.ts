/**
 * How large an object may be: what etcd and its client allow as they come, so that a store of one's own takes and
 * refuses the same objects, in the same words.
 */
import { type GuardedWrite, sizeOfTransaction } from "./etcd/wire.ts";
import { WriteRefusedError } from "./storage.ts";

/** What etcd takes (`--max-request-bytes`, 1.5 MiB when nothing is said). */
const MAX_REQUEST_BYTES = 1_572_864;
/** What etcd counts around a transaction: its length and the number of the request (`InternalRaftRequest`). */
const RAFT_BYTES = 17;
/** What kube-apiserver sends to etcd at most (`clientv3` defaultMaxCallSendMsgSize). */
const MAX_MESSAGE_BYTES = 2_097_152;

/** Throws WriteRefusedError for a write that kube-apiserver would not even send. */
export function assertSendable(write: GuardedWrite): void {
  const size = sizeOfTransaction(write);
  if (size <= MAX_MESSAGE_BYTES) return;
  const what = `trying to send message larger than max (${size} vs. ${MAX_MESSAGE_BYTES})`;
  throw new WriteRefusedError(`rpc error: code = ResourceExhausted desc = ${what}`, "tooLarge");
}

/** Throws WriteRefusedError for a write that etcd would refuse by itself. */
export function assertAcceptable(write: GuardedWrite): void {
  assertSendable(write);
  if (sizeOfTransaction(write) + RAFT_BYTES > MAX_REQUEST_BYTES) {
    throw new WriteRefusedError("etcdserver: request is too large", "tooLarge");
  }
}
