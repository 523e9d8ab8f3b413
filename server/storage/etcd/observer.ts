/** What an etcd's answers are told to. */

/** One call of etcd that has ended. */
export interface EtcdCall {
  /** kube-apiserver's words for it. */
  readonly operation: "create" | "update" | "delete" | "get" | "list" | "getCurrentResourceVersion";
  /** What it was about: a key, or what keys begin with. */
  readonly key: string;
  readonly seconds: number;
  readonly failed: boolean;
}

/** Is told of each call, and how far what is served is behind etcd. */
export interface EtcdObserver {
  called(call: EtcdCall): void;
  /** Seconds from knowing of a revision of etcd until its changes were here. */
  caughtUp(seconds: number): void;
  /** The watch that brings the changes has ended without being asked to. */
  watchBroke(): void;
}
