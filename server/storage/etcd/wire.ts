/** The few messages of etcd's v3 API that a store needs, as protobuf (etcd `rpc.proto` and `kv.proto`). */
import { Buffer } from "node:buffer";
import { WireReader, WireWriter } from "../../../core/kube/wire/wire_format.ts";

export interface EtcdKeyValue {
  readonly key: string;
  /** The revision of the last change; in a deletion event, of the deletion. */
  readonly modRevision: number;
  /** The number of writes since it was created. */
  readonly version: number;
  readonly value: Uint8Array;
  /** The lease that it expires with; absent for none. */
  readonly lease?: bigint;
}

export interface RangeRequest {
  readonly key: string;
  /** The first key after the range; absent for `key` alone. */
  readonly rangeEnd?: string | undefined;
  /** The maximum number of keys; 0 or absent for all. */
  readonly limit?: number;
  /** Read the state at exactly this revision; absent for the newest. */
  readonly revision?: number | undefined;
  readonly countOnly?: boolean;
}

export interface RangeResponse {
  /** The revision of the whole etcd at the time of the answer. */
  readonly revision: number;
  readonly kvs: readonly EtcdKeyValue[];
  readonly more: boolean;
  /** The number of keys in the range, regardless of the limit. */
  readonly count: number;
}

/**
 * A write of a transaction, which takes place only if the guards of all its writes are true. Otherwise, the transaction
 * reads the keys that should exist.
 */
export interface GuardedWrite {
  readonly key: string;
  /** The expected revision of the key's last change, 0 for a key that does not exist; or the expected version. */
  readonly guard: { readonly modRevision: number } | { readonly version: number };
  /** The new value; undefined deletes the key. */
  readonly value: Uint8Array | undefined;
  /** The lease that the value expires with; absent for none. */
  readonly lease?: bigint | undefined;
}

export interface TransactionResponse {
  readonly succeeded: boolean;
  /** The revision of the writes, if they took place. */
  readonly revision: number;
  /** If a guard was false, the current state of each key that should exist; undefined for a key that does not exist. */
  readonly current: readonly (EtcdKeyValue | undefined)[];
}

export interface WatchResponse {
  readonly revision: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** The oldest available revision, set when the requested one is compacted. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly events: readonly EtcdEvent[];
}

export interface EtcdEvent {
  readonly isDeletion: boolean;
  readonly kv: EtcdKeyValue;
}

export interface EtcdStatus {
  /** The release of the member, such as `3.5.13`. */
  readonly version: string;
  /** The faults of the member; an alarm has the form `memberID:1 alarm:NOSPACE `. */
  readonly errors: readonly string[];
}

const TARGET_VERSION = 0;
const TARGET_MOD_REVISION = 2;

/** Encodes a `RangeRequest` of etcd's API. */
export function encodeRange(request: RangeRequest): Buffer {
  return encode((writer) => writeRange(writer, request));
}

/** Encodes a `TxnRequest` of writes to different keys. Like kube-apiserver's, it reads nothing if it cannot create. */
export function encodeTransaction(writes: readonly GuardedWrite[]): Buffer {
  return encode((writer) => {
    for (const { key, guard } of writes.toReversed()) {
      if ("modRevision" in guard && guard.modRevision === 0) continue;
      writer.nested(3, () => writer.nested(1, () => writeRange(writer, { key })));
    }
    for (const { key, value, lease } of writes.toReversed()) {
      if (value === undefined) writeDeletion(writer, key);
      else writePut(writer, key, value, lease);
    }
    for (const { key, guard } of writes.toReversed()) writeGuard(writer, key, guard);
  });
}

/** Encodes a `TxnRequest` that renames a key, with its value and its lease, unless it was written meanwhile. */
export function encodeMove({ key, modRevision, value, lease }: EtcdKeyValue, to: string): Buffer {
  return encode((writer) => {
    writeDeletion(writer, key);
    writePut(writer, to, value, lease);
    writeGuard(writer, key, { modRevision });
  });
}

/** Encodes a `WatchRequest` that creates a watch or requests its progress. */
export function encodeWatch(
  request: { readonly key: string; readonly rangeEnd: string; readonly startRevision: number } | "progress",
): Buffer {
  return encode((writer) => {
    if (request === "progress") return writer.bytes(3, new Uint8Array());
    writer.nested(1, () => {
      writer.bool(4, true);
      writeInteger(writer, 3, request.startRevision);
      writer.string(2, request.rangeEnd);
      writer.string(1, request.key);
    });
  });
}

/** Encodes a `CompactionRequest` of etcd's API. */
export function encodeCompaction(revision: number): Buffer {
  return encode((writer) => writeInteger(writer, 1, revision));
}

/** Encodes a `LeaseGrantRequest`; etcd chooses the lease's number. */
export function encodeLeaseGrant(ttlSeconds: number): Buffer {
  return encode((writer) => writeInteger(writer, 1, ttlSeconds));
}

/** Decodes a `RangeResponse` of etcd's API. */
export function decodeRange(bytes: Uint8Array): RangeResponse {
  let revision = 0;
  let more = false;
  let count = 0;
  const kvs: EtcdKeyValue[] = [];
  const reader = new WireReader(bytes);
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("RangeResponse");
    if (number === 1) revision = readHeader(reader.nested());
    else if (number === 2) kvs.push(readKeyValue(reader.nested()));
    else if (number === 3) more = reader.bool();
    else if (number === 4) count = reader.int64();
    else reader.skip(wireType);
  }
  return { revision, kvs, more, count };
}

/** Decodes the `TxnResponse` of a transaction of guarded writes. */
export function decodeTransaction(bytes: Uint8Array): TransactionResponse {
  let revision = 0;
  let succeeded = false;
  const current: (EtcdKeyValue | undefined)[] = [];
  const reader = new WireReader(bytes);
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("TxnResponse");
    if (number === 1) revision = readHeader(reader.nested());
    else if (number === 2) succeeded = reader.bool();
    else if (number === 3) current.push(...readRanges(reader.nested()));
    else reader.skip(wireType);
  }
  return { succeeded, revision, current };
}

/** Decodes a `WatchResponse` of etcd's API. */
export function decodeWatch(bytes: Uint8Array): WatchResponse {
  let revision = 0;
  let created = false;
  let canceled = false;
  let compactRevision = 0;
  let cancelReason = "";
  const events: EtcdEvent[] = [];
  const reader = new WireReader(bytes);
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("WatchResponse");
    if (number === 1) revision = readHeader(reader.nested());
    else if (number === 3) created = reader.bool();
    else if (number === 4) canceled = reader.bool();
    else if (number === 5) compactRevision = reader.int64();
    else if (number === 6) cancelReason = reader.text();
    else if (number === 11) events.push(readEvent(reader.nested()));
    else reader.skip(wireType);
  }
  return { revision, created, canceled, compactRevision, cancelReason, events };
}

/** Decodes a `LeaseGrantResponse` and returns the lease's number. */
export function decodeLeaseGrant(bytes: Uint8Array): bigint {
  let id = 0n;
  const reader = new WireReader(bytes);
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("LeaseGrantResponse");
    if (number === 2) id = reader.bigInt64();
    else reader.skip(wireType);
  }
  return id;
}

/** Decodes a `StatusResponse` of etcd's API. */
export function decodeEtcdStatus(bytes: Uint8Array): EtcdStatus {
  let version = "";
  const errors: string[] = [];
  const reader = new WireReader(bytes);
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("StatusResponse");
    if (number === 2) version = reader.text();
    else if (number === 8) errors.push(reader.text());
    else reader.skip(wireType);
  }
  return { version, errors };
}

/** Returns the first key after all keys that start with a prefix. */
export function endOfPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}

/** Encodes a message; `write` starts with the last field. */
function encode(write: (writer: WireWriter) => void): Buffer {
  const writer = new WireWriter();
  write(writer);
  const { buffer, byteOffset, byteLength } = writer.finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}

function writeGuard(writer: WireWriter, key: string, guard: GuardedWrite["guard"]): void {
  writer.nested(1, () => {
    const isVersion = "version" in guard;
    // A member of a oneof is written even when it is zero.
    writer.int64(isVersion ? 4 : 6, isVersion ? guard.version : guard.modRevision);
    writer.string(3, key);
    writeInteger(writer, 2, isVersion ? TARGET_VERSION : TARGET_MOD_REVISION);
  });
}

/** Adds the write that takes place if the guard is true. */
function writePut(writer: WireWriter, key: string, value: Uint8Array, lease: bigint | undefined): void {
  writer.nested(2, () =>
    writer.nested(2, () => {
      if (lease !== undefined) writer.int64(3, lease);
      writer.bytes(2, value);
      writer.string(1, key);
    }));
}

function writeDeletion(writer: WireWriter, key: string): void {
  writer.nested(2, () => writer.nested(3, () => writer.string(1, key)));
}

function writeRange(
  writer: WireWriter,
  { key, rangeEnd, limit = 0, revision = 0, countOnly = false }: RangeRequest,
): void {
  if (countOnly) writer.bool(9, true);
  writeInteger(writer, 4, revision);
  writeInteger(writer, 3, limit);
  if (rangeEnd !== undefined) writer.string(2, rangeEnd);
  writer.string(1, key);
}

function writeInteger(writer: WireWriter, field: number, value: number): void {
  if (value !== 0) writer.int64(field, value);
}

/** Reads the revision of the whole etcd from a `ResponseHeader`. */
function readHeader(reader: WireReader): number {
  let revision = 0;
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("ResponseHeader");
    if (number === 3) revision = reader.int64();
    else reader.skip(wireType);
  }
  return revision;
}

/** Reads the answers to a transaction's reads, each of one key, from a `ResponseOp`. */
function readRanges(reader: WireReader): (EtcdKeyValue | undefined)[] {
  const found: (EtcdKeyValue | undefined)[] = [];
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("ResponseOp");
    if (number === 1) found.push(decodeRange(reader.bytes()).kvs[0]);
    else reader.skip(wireType);
  }
  return found;
}

function readKeyValue(reader: WireReader): EtcdKeyValue {
  let key = "";
  let modRevision = 0;
  let version = 0;
  let value: Uint8Array = NO_VALUE;
  let lease = 0n;
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("KeyValue");
    if (number === 1) key = reader.text();
    else if (number === 3) modRevision = reader.int64();
    else if (number === 4) version = reader.int64();
    else if (number === 5) value = reader.bytes();
    else if (number === 6) lease = reader.bigInt64();
    else reader.skip(wireType);
  }
  return lease === 0n ? { key, modRevision, version, value } : { key, modRevision, version, value, lease };
}

const NO_VALUE = new Uint8Array();
const EMPTY_KEY_VALUE: EtcdKeyValue = { key: "", modRevision: 0, version: 0, value: NO_VALUE };

function readEvent(reader: WireReader): EtcdEvent {
  let isDeletion = false;
  let kv = EMPTY_KEY_VALUE;
  while (reader.hasMore) {
    const { number, wireType } = reader.tag("Event");
    if (number === 1) isDeletion = reader.int32() === 1;
    else if (number === 2) kv = readKeyValue(reader.nested());
    else reader.skip(wireType);
  }
  return { isDeletion, kv };
}
