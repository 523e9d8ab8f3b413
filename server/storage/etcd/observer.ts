/** One call of etcd that has ended. */
export interface EtcdCall {
  /** The operation in kube-apiserver's words, or a transaction of several writes, which it never makes. */
  readonly operation: "create" | "update" | "delete" | "transact" | "get" | "list" | "getCurrentResourceVersion";
  /** The key of the call, the first of several, or the prefix of keys. */
  readonly key: string;
  readonly seconds: number;
  readonly failed: boolean;
}

/** Observes each call, and how far the mirror is behind etcd. */
export interface EtcdObserver {
  called(call: EtcdCall): void;
  /** Called with the seconds from learning of a revision until its changes arrived. */
  caughtUp(seconds: number): void;
  /** Called when the watch that delivers the changes has ended unexpectedly. */
  watchBroke(): void;
}
