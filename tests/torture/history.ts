/**
 * The history of a run: every call of every client, with its begin and end, and every event of every watch. Torture and
 * the simulation write it as a file of JSON lines, which `tests/interop/peers/history` checks.
 *
 * The first line is a `history`. A call is written when it has ended, so the lines are ordered by end. A call that was
 * never sent, because there was no connection, is not written. All times are microseconds of one monotonic clock.
 * Fields that do not apply are absent.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import type { KubeObject } from "../../core/kube/meta.ts";
import { isRecord } from "../../core/lib/record.ts";

/** The name of the file in the folder of a run. */
export const HISTORY_FILE = "history.jsonl";

/** How long a server keeps changes (`server/storage/memory/journaled_storage.ts`): the value of `keptMs`. */
export const KEPT_MS = 300_000;

export type HistoryRecord =
  | RecordedStart
  | RecordedCall
  | RecordedWatch
  | RecordedEvent
  | RecordedEnd
  | RecordedCompaction
  | RecordedNote;

/** The first line, which describes the run. */
interface RecordedStart {
  readonly kind: "history";
  readonly format: 1;
  /** What a person needs to run it again. */
  readonly title: string;
  /**
   * How long every server promises to keep changes, in milliseconds: 410 for a revision that was the newest within this
   * time is a fault. Absent if there is no such promise.
   */
  readonly keptMs?: number;
}

export interface RecordedTarget {
  readonly client: string;
  /** The resource with its group, such as `certificatesigningrequests.certificates.k8s.io`. */
  readonly resource: string;
  /** Absent for all namespaces, and for resources without namespaces. */
  readonly namespace?: string;
  /** The name of the object; absent for collections. */
  readonly name?: string;
  readonly subresource?: string;
}

/** The parameters of reads, as they were sent. */
export interface RecordedQuery {
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
  readonly continue?: string;
  readonly limit?: number;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** A call with any verb but watch. */
export interface RecordedCall extends RecordedTarget, RecordedQuery {
  readonly kind: "call";
  readonly begin: number;
  readonly end: number;
  /** The verb that is authorized, or `apply` for a server-side apply. */
  readonly verb: "create" | "get" | "list" | "update" | "patch" | "apply" | "delete" | "deletecollection";
  /** The preconditions and the name of a write, as they were sent. */
  readonly sent?: RecordedWrite;
  /** The HTTP status code; absent without a complete answer, when a write may have been done or may still be done. */
  readonly status?: number;
  /** The `reason` of the Status in the answer. */
  readonly reason?: string;
  /** The object that the answer contains. */
  readonly object?: RecordedState;
  /** The list that the answer contains. */
  readonly list?: RecordedList;
  /** The uid of the deleted object, from the details of the Status in the answer. */
  readonly deleted?: string;
}

export interface RecordedWrite {
  /** The uid that the object must have. */
  readonly uid?: string;
  /** The revision that the object must have. */
  readonly resourceVersion?: string;
  /** The unique name of this write: `data.write` of an object whose writers set it. */
  readonly write?: string;
}

export interface RecordedState {
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: number;
  /** A digest of everything else, for comparing states. */
  readonly digest: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** The name of the write that created this state (`data.write`). */
  readonly write?: string;
  /** The signer of a certificate request, by which clients select. */
  readonly signerName?: string;
}

/** A list or one page of it. */
export interface RecordedList {
  readonly resourceVersion: number;
  readonly continue?: string;
  readonly remaining?: number;
  readonly items: readonly RecordedState[];
}

/** A watch that was opened or refused. Its events and its end follow with the same number. */
interface RecordedWatch extends RecordedTarget, RecordedQuery {
  readonly kind: "watch";
  readonly watch: number;
  readonly begin: number;
  /** When its headers or its refusal arrived. */
  readonly end: number;
  readonly sendInitialEvents?: boolean;
  readonly status?: number;
  readonly reason?: string;
}

export interface RecordedEvent {
  readonly kind: "event";
  readonly watch: number;
  readonly at: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object?: RecordedState;
  /** The revision of a bookmark. */
  readonly revision?: number;
  /** The bookmark that ends the initial events of a streaming list. */
  readonly initialEventsEnd?: boolean;
  /** The code of an error's Status. */
  readonly status?: number;
}

/** The end of a watch, whether the client or the server ended it. */
interface RecordedEnd {
  readonly kind: "end";
  readonly watch: number;
  readonly at: number;
}

/** A compaction of the store: from `begin` on, revisions below this one may be gone. */
interface RecordedCompaction {
  readonly kind: "compaction";
  readonly begin: number;
  readonly end: number;
  readonly revision: number;
}

/** An event such as a kill, for readers of the history. */
interface RecordedNote {
  readonly kind: "note";
  readonly at: number;
  readonly text: string;
}

/** Converts the elapsed time of a clock to the time of a record. */
export function toHistoryTime(elapsedMs: number): number {
  return Math.round(elapsedMs * 1_000);
}

/** Takes the records of a history. */
export interface HistoryWriter extends Disposable {
  write(record: HistoryRecord): void;
}

/** The number of characters that are buffered before they are written. */
const BATCH_CHARACTERS = 65_536;

/** Creates the file of a history, and writes records in batches. */
export function createHistoryWriter(path: string, start: Omit<RecordedStart, "kind" | "format">): HistoryWriter {
  const file = openSync(path, "wx", 0o600);
  let batch = "";
  let isClosed = false;
  const flush = (): void => {
    const bytes = new TextEncoder().encode(batch);
    batch = "";
    for (let from = 0; from < bytes.length;) from += writeSync(file, bytes, from);
  };
  const write = (record: HistoryRecord): void => {
    if (isClosed) return;
    batch += `${JSON.stringify(record)}\n`;
    if (batch.length >= BATCH_CHARACTERS) flush();
  };
  write({ kind: "history", format: 1, ...start });
  return {
    write,
    [Symbol.dispose]() {
      if (isClosed) return;
      flush();
      isClosed = true;
      closeSync(file);
    },
  };
}

/** Any object, the content of a ConfigMap, and the specification of a request. */
type AnyObject = KubeObject & { readonly data?: unknown; readonly spec?: unknown };

/** A field of a record that an earlier build drops when it rewrites the record. */
const DROPPED_BY_EARLIER = "identifies";

/** Converts an object; the digest excludes `resourceVersion` and what lists and earlier builds omit. */
export function toRecordedState(object: AnyObject): RecordedState {
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object;
  const { resourceVersion, ...others } = metadata;
  const { namespace, name = "", uid = "", labels } = metadata;
  const write = findWriteName(object);
  const signerName = isRecord(object.spec) ? object.spec["signerName"] : undefined;
  const state = JSON.stringify([others, rest], (key, value) => key === DROPPED_BY_EARLIER ? undefined : value);
  return {
    ...(namespace === undefined ? {} : { namespace }),
    name,
    uid,
    resourceVersion: Number(resourceVersion),
    digest: createHash("sha256").update(state).digest("base64url").slice(0, DIGEST_CHARACTERS),
    ...(labels === undefined ? {} : { labels }),
    ...(write === undefined ? {} : { write }),
    ...(typeof signerName === "string" ? { signerName } : {}),
  };
}

/** 96 bits, so that different states never share a digest by chance. */
const DIGEST_CHARACTERS = 16;

/** Returns the unique name of the write that created a state, if its writer set one. */
export function findWriteName({ data }: { readonly data?: unknown }): string | undefined {
  const write = typeof data === "object" && data !== null && "write" in data ? data.write : undefined;
  return typeof write === "string" ? write : undefined;
}
