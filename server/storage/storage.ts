/**
 * The storage port. Keys are `/registry/<resource>/[<namespace>/]<name>`; values are objects; every write gets the next
 * number of one counter that never repeats, not even after a crash (this is `resourceVersion`). Acknowledged means
 * durable: a write's promise resolves after the write would survive `kill -9`.
 *
 * History is durable too: revisions are kept for five minutes, as far as they take no more than 256 MiB, and across a
 * restart, so that a `continue` stays at one revision and a watch resumes. What is older is compacted; asking for it
 * throws `CompactedError`.
 *
 * An object has the size that etcd allows, and all of them together a quota: a write beyond either throws
 * `WriteRefusedError`. Deletions always pass.
 */
import type { KubeObject } from "../../core/kube/meta.ts";
import { AppError } from "../../core/errors.ts";
import { createFailureStatus, StatusError } from "../../core/kube/status_error.ts";

/** An object as stored, with the revision that wrote it. */
export interface Stored<T extends KubeObject = KubeObject> {
  readonly key: string;
  /** The write that made this state; equals `object.metadata.resourceVersion`. */
  readonly revision: number;
  /** Canonical object without `kind` and `apiVersion`, with `metadata.resourceVersion` set; never to be mutated. */
  readonly object: T;
  /** The UTF-8 JSON of `object`: encoded once, shared by every list and watch. */
  readonly bytes: Uint8Array;
}

/** One change, in revision order. `current` is absent for a deletion, `previous` for a creation. */
export interface StorageEvent {
  readonly key: string;
  readonly revision: number;
  readonly current?: Stored;
  readonly previous?: Stored;
}

/** One page of a list. */
export interface StoragePage {
  readonly items: readonly Stored[];
  /** The revision the page shows; later pages show the same one. */
  readonly revision: number;
  /** Where the next page starts, absent on the last page. */
  readonly nextKey?: string;
  /** How many items of the prefix follow this page. */
  readonly remaining: number;
}

/** What to list. */
export interface StorageListOptions {
  /** At most this many items; 0 or absent for all. */
  readonly limit?: number;
  /** Only this key and greater ones; it need not exist. */
  readonly fromKey?: string;
  /** The state at exactly this revision; absent for the newest. */
  readonly revision?: number;
}

/** A running watch. Events arrive by callback, in order, before the write that made them is acknowledged. */
export interface StorageWatch {
  stop(): void;
}

/** Everything the API keeps. */
export interface Storage extends AsyncDisposable {
  /** The newest state of one key. */
  get(key: string): Promise<Stored | undefined>;
  /**
   * All keys below a prefix (which ends in `/`), ordered byte-wise by key. Throws `CompactedError` for a revision that is
   * forgotten, AppError `invalid` for one that is not there yet.
   */
  list(prefix: string, options?: StorageListOptions): Promise<StoragePage>;
  /** Writes a key that must not exist: `AlreadyExistsError`. */
  create(key: string, object: KubeObject): Promise<Stored>;
  /** Replaces a key last written by `expectedRevision`: `RevisionConflictError` otherwise (also when it is gone). */
  update(key: string, object: KubeObject, expectedRevision: number): Promise<Stored>;
  /** Removes a key last written by `expectedRevision`; answers the last state and the revision of the deletion. */
  delete(key: string, expectedRevision: number): Promise<{ readonly previous: Stored; readonly revision: number }>;
  /**
   * Reports every change below a prefix with a revision greater than `afterRevision`: first the history, then what
   * happens. Throws `CompactedError` when the history does not reach back that far. `onEvents` gets one or more
   * events per call, is called synchronously from the commit, and must not throw. `onLost` is told when a store that is
   * shared has forgotten changes before it could tell them: the watch has ended, and the state is to be read again.
   */
  watch(
    prefix: string,
    afterRevision: number,
    onEvents: (events: readonly StorageEvent[]) => void,
    onLost?: (error: CompactedError) => void,
  ): StorageWatch;
  /**
   * Resolves when everything is known that was acknowledged to anybody before the call: a store that is shared has
   * revisions that others were told of first.
   */
  catchUp(): Promise<void>;
  /** The newest revision, at least 1. Every watch has been told of what happened up to it. */
  revision(): number;
  /** The oldest revision whose state and later history are still known. */
  compactedRevision(): number;
  /** Called when the store can no longer acknowledge writes (full disk, lost file); for health checks. */
  health(): Promise<void>;
}

/** A key exists already. */
export class AlreadyExistsError extends AppError {
  readonly key: string;

  constructor(key: string) {
    super("already_exists", `cannot create "${key}": the key exists`);
    this.key = key;
  }
}

/** Somebody else wrote in between, or the key is gone (`current` is then undefined). */
export class RevisionConflictError extends AppError {
  readonly current: Stored | undefined;

  constructor(key: string, current: Stored | undefined) {
    super("conflict", `cannot write "${key}": it was written in between`, { retryable: true });
    this.current = current;
  }
}

/**
 * The store does not take a write: the object is too large, or the store is full. The text is etcd's, which
 * kube-apiserver passes on as it is, as a 500 without a reason.
 */
export class WriteRefusedError extends StatusError {
  readonly why: "tooLarge" | "full";

  constructor(message: string, why: "tooLarge" | "full", cause?: unknown) {
    super(createFailureStatus(500, "", message), { cause });
    this.why = why;
  }
}

/** The asked revision is older than the history that is kept. */
export class CompactedError extends AppError {
  readonly requestedRevision: number;
  readonly compactedRevision: number;

  constructor(requestedRevision: number, compactedRevision: number) {
    super("not_found", `cannot read revision ${requestedRevision}: history starts at ${compactedRevision}`);
    this.requestedRevision = requestedRevision;
    this.compactedRevision = compactedRevision;
  }
}
