/**
 * The storage port. Keys are `/registry/<resource>/[<namespace>/]<name>`, and values are objects. Every write gets the
 * next number of one counter as its `resourceVersion`; no number is used twice, not even after a crash. A write's
 * promise resolves only when the write would survive `kill -9`.
 *
 * History is durable too: revisions are kept for five minutes, up to 256 MiB, even across a restart, so that a
 * `continue` token keeps its revision and a watch can resume. Older revisions are compacted, and reading them throws
 * `CompactedError`.
 *
 * Objects have the size limit of etcd, and all of them together have a quota. A write beyond either limit throws
 * `WriteRefusedError`. Deletions are always accepted.
 */
import { clearTimeout, setTimeout } from "node:timers";
import type { KubeObject } from "../../core/kube/meta.ts";
import { AppError } from "../../core/errors.ts";
import { createFailureStatus, StatusError } from "../../core/kube/status/status.ts";
import type { Clock } from "../../core/ports.ts";

/** An object as stored, with the revision that wrote it. */
export interface Stored<T extends KubeObject = KubeObject> {
  readonly key: string;
  /** The revision of the write that created this state; equals `object.metadata.resourceVersion`. */
  readonly revision: number;
  /** Canonical object without `kind` and `apiVersion`, with `metadata.resourceVersion` set; never to be mutated. */
  readonly object: T;
  /** The UTF-8 JSON of `object`, encoded once and shared by every list and watch. */
  readonly bytes: Uint8Array;
  /** The size of the stored value in bytes, to which limits apply. */
  readonly size: number;
}

/** One change, in revision order. `current` is absent for a deletion, `previous` for a creation. */
export interface StorageEvent<T extends KubeObject = KubeObject> {
  readonly key: string;
  readonly revision: number;
  readonly current?: Stored<T> | undefined;
  readonly previous?: Stored<T> | undefined;
}

/** One write of a transaction, with the conditions of the `Storage` method of the same name. */
export type Write =
  | { readonly kind: "create"; readonly key: string; readonly object: KubeObject }
  | { readonly kind: "update"; readonly key: string; readonly object: KubeObject; readonly expectedRevision: number }
  | { readonly kind: "delete"; readonly key: string; readonly expectedRevision: number };

/** One page of a list. */
export interface StoragePage {
  readonly items: readonly Stored[];
  /** The revision of the page, which later pages share. */
  readonly revision: number;
  /** Where the next page starts, absent on the last page. */
  readonly nextKey?: string;
  /** The number of items of the prefix after this page. */
  readonly remaining: number;
}

/** The options of a list. */
export interface StorageListOptions {
  /** The maximum number of items; 0 or absent for all. */
  readonly limit?: number;
  /** The first key that may be listed; it need not exist. */
  readonly fromKey?: string | undefined;
  /** List the state at exactly this revision; absent for the newest. */
  readonly revision?: number | undefined;
}

/**
 * A running watch. Events arrive by callback, in order, before their write is acknowledged. A shared store that cannot
 * follow its changes acknowledges the write after ten seconds anyway.
 */
export interface StorageWatch {
  stop(): void;
}

/** A store of all objects of the API. */
export interface Storage extends AsyncDisposable {
  /** Returns the newest state of one key. */
  get(key: string): Promise<Stored | undefined>;
  /**
   * Returns the state of one key that this server knows. If another server has changed it since, a write that is
   * guarded by the revision fails.
   */
  getKnown(key: string): Stored | undefined;
  /**
   * Lists the keys below a prefix, which ends in `/`, in byte order. Throws `CompactedError` for a revision that is
   * compacted, and AppError `invalid` for one that does not exist yet.
   */
  list(prefix: string, options?: StorageListOptions): Promise<StoragePage>;
  /** Writes a key that must not exist; throws `AlreadyExistsError` if it does. */
  create(key: string, object: KubeObject): Promise<Stored>;
  /**
   * Replaces a key last written at `expectedRevision`; throws `RevisionConflictError` otherwise, and when the key is
   * gone.
   */
  update(key: string, object: KubeObject, expectedRevision: number): Promise<Stored>;
  /** Removes a key last written at `expectedRevision`; returns the last state and the revision of the deletion. */
  delete(key: string, expectedRevision: number): Promise<{ readonly previous: Stored; readonly revision: number }>;
  /**
   * True for etcd, where all changes of a transaction have one revision. Then a transaction may not have two objects of
   * the same resource.
   */
  readonly sharesRevisions: boolean;
  /**
   * Makes all writes, which must have different keys, or none. Returns their changes in the same order. Throws
   * `AlreadyExistsError` or `RevisionConflictError` for the first write whose condition is false, `WriteRefusedError`
   * when all objects together exceed the limit of one object, and AppError `internal` for writes that may not be in one
   * transaction. All changes take effect in memory at the same moment.
   */
  transact(writes: readonly Write[]): Promise<readonly StorageEvent[]>;
  /**
   * Reports every change below a prefix with a revision greater than `afterRevision`: first the history, then new
   * changes. Throws `CompactedError` when the history does not reach back that far. `onEvents` gets one or more events
   * per call, is called synchronously from the commit, and must not throw. `onLost` is called when a shared store has
   * compacted changes before they were reported. The watch has then ended, and the state must be read again; if that
   * fails, `onLost` may reject, which is logged.
   */
  watch(
    prefix: string,
    afterRevision: number,
    onEvents: (events: readonly StorageEvent[]) => void,
    onLost?: (error: CompactedError) => void | Promise<void>,
  ): StorageWatch;
  /**
   * Resolves when this store has every write that it or another server of a shared store acknowledged before the call.
   * With `withinMs`, it may lack writes of the last `withinMs` milliseconds, so it usually resolves at once.
   */
  catchUp(withinMs?: number): Promise<void>;
  /** Returns the newest revision, at least 1. Every watch has received the changes up to it. */
  revision(): number;
  /** Rejects when the store cannot acknowledge writes, for example because the disk is full. For health checks. */
  health(): Promise<void>;
}

/** The error of a creation whose key already exists. */
export class AlreadyExistsError extends AppError {
  readonly key: string;

  constructor(key: string) {
    super("already_exists", `cannot create "${key}": the key exists`);
    this.key = key;
  }
}

/** The error of a write whose key was written meanwhile, or is gone (`current` is then undefined). */
export class RevisionConflictError extends AppError {
  readonly key: string;
  readonly current: Stored | undefined;

  constructor(key: string, current: Stored | undefined) {
    super("conflict", `cannot write "${key}": it was written in between`, { retryable: true });
    this.key = key;
    this.current = current;
  }
}

/**
 * The store refuses a write because the object is too large or the store is full. The text is etcd's, which kube-apiserver
 * passes on unchanged as a 500 without a reason.
 */
export class WriteRefusedError extends StatusError {
  readonly why: "tooLarge" | "full";

  constructor(message: string, why: "tooLarge" | "full", cause?: unknown) {
    super(createFailureStatus(500, "", message), { cause });
    this.why = why;
  }
}

/** The error of a read at a revision older than the kept history. */
export class CompactedError extends AppError {
  readonly requestedRevision: number;
  readonly compactedRevision: number;

  constructor(requestedRevision: number, compactedRevision: number) {
    super("not_found", `cannot read revision ${requestedRevision}: history starts at ${compactedRevision}`);
    this.requestedRevision = requestedRevision;
    this.compactedRevision = compactedRevision;
  }
}

/**
 * Creates the clock of a store that is opened now, in milliseconds since 1970: the wall clock at the opening plus the
 * elapsed time since. History and Events expire by this clock, so that setting the system's clock forward ends no
 * watch, and setting it back keeps nothing forever.
 */
export function createSteadyNow(clock: Clock): () => number {
  const offsetMs = clock.now().getTime() - clock.elapsedMs();
  return () => Math.floor(offsetMs + clock.elapsedMs());
}

/** Runs a function once after a number of milliseconds; the returned function cancels it. Tests replace it. */
export type After = (ms: number, run: () => void) => () => void;

export function runAfter(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
