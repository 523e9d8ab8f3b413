/** The few messages of etcd's v3 API that a store needs, as protobuf (etcd `rpc.proto` and `kv.proto`). */
import { Buffer } from "node:buffer";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** One key and its value as etcd stores them. */
export interface EtcdKeyValue {
  readonly key: string;
  /** The revision of its last change, or of the deletion in a deletion event. */
  readonly modRevision: number;
  /** The number of writes since it was created. */
  readonly version: number;
  readonly value: Uint8Array;
  /** The lease that it expires with; absent for none. */
  readonly lease?: bigint;
}

/** A read of one key or of a range of keys. */
export interface RangeRequest {
  readonly key: string;
  /** The first key after the range; absent for `key` alone. */
  readonly rangeEnd?: string;
  /** The maximum number of keys; 0 or absent for all. */
  readonly limit?: number;
  /** Read the state at exactly this revision; absent for the newest. */
  readonly revision?: number;
  /** Return only the number of keys. */
  readonly countOnly?: boolean;
}

/** The answer of a read. */
export interface RangeResponse {
  /** The revision of the whole etcd at the time of the answer. */
  readonly revision: number;
  readonly kvs: readonly EtcdKeyValue[];
  readonly more: boolean;
  /** The number of keys in the range, regardless of the limit. */
  readonly count: number;
}

/** A write that takes place only if its guard holds; otherwise the key is read. */
export interface GuardedWrite {
  readonly key: string;
  /** The expected revision of the key's last change, 0 for a key that does not exist; or the expected version. */
  readonly guard: { readonly modRevision: number } | { readonly version: number };
  /** The new value; undefined deletes the key. */
  readonly value: Uint8Array | undefined;
  /** The lease that the value expires with; absent for none. */
  readonly lease?: bigint;
}

/** The result of a guarded write. */
export interface GuardedWriteResponse {
  readonly succeeded: boolean;
  /** The revision of the write, if it took place. */
  readonly revision: number;
  /** The present key, when the guard did not hold and the key exists. */
  readonly current: EtcdKeyValue | undefined;
}

/** One message of a watch. */
export interface WatchResponse {
  readonly revision: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** The oldest available revision, set when the requested one is compacted. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly events: readonly EtcdEvent[];
}

/** A change of one key. */
export interface EtcdEvent {
  readonly isDeletion: boolean;
  readonly kv: EtcdKeyValue;
}

/** The status of one member. */
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
  return finished(rangeWriter(request));
}

/** Encodes a `TxnRequest` with one guard. */
export function encodeGuardedWrite(write: GuardedWrite): Buffer {
  return finished(otherwiseRead(writeWriter(write), write.key));
}

/** Returns the size of kube-apiserver's `TxnRequest` for the same write, which reads nothing if it cannot create. */
export function sizeOfTransaction(write: GuardedWrite): number {
  const writer = writeWriter(write);
  const isCreation = "modRevision" in write.guard && write.guard.modRevision === 0;
  return (isCreation ? writer : otherwiseRead(writer, write.key)).finish().length;
}

function writeWriter({ key, guard, value, lease }: GuardedWrite): BinaryWriter {
  const writer = guardWriter(key, guard);
  return value === undefined ? deletion(writer, key) : put(writer, key, value, lease);
}

/** Adds the read that takes place when the guard does not hold. */
function otherwiseRead(writer: BinaryWriter, key: string): BinaryWriter {
  return writer.tag(3, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).bytes(
    rangeWriter({ key }).finish(),
  ).join();
}

/** Encodes a `TxnRequest` that renames a key, with its value and its lease, unless it was written meanwhile. */
export function encodeMove({ key, modRevision, value, lease }: EtcdKeyValue, to: string): Buffer {
  return finished(deletion(put(guardWriter(key, { modRevision }), to, value, lease), key));
}

/** Encodes a `WatchRequest` that creates a watch or requests its progress. */
export function encodeWatch(
  request: { readonly key: string; readonly rangeEnd: string; readonly startRevision: number } | "progress",
): Buffer {
  const writer = new BinaryWriter();
  if (request === "progress") return finished(writer.tag(3, WireType.LengthDelimited).bytes(new Uint8Array()));
  writer.tag(1, WireType.LengthDelimited).fork();
  text(writer, 1, request.key);
  text(writer, 2, request.rangeEnd);
  integer(writer, 3, request.startRevision);
  writer.tag(4, WireType.Varint).bool(true);
  return finished(writer.join());
}

/** Encodes a `CompactionRequest` of etcd's API. */
export function encodeCompaction(revision: number): Buffer {
  return finished(integer(new BinaryWriter(), 1, revision));
}

/** Encodes a `LeaseGrantRequest`; etcd chooses the lease's number. */
export function encodeLeaseGrant(ttlSeconds: number): Buffer {
  return finished(integer(new BinaryWriter(), 1, ttlSeconds));
}

/** Decodes a `RangeResponse` of etcd's API. */
export function decodeRange(bytes: Uint8Array): RangeResponse {
  let revision = 0;
  let more = false;
  let count = 0;
  const kvs: EtcdKeyValue[] = [];
  readMessage(bytes, {
    1: (reader) => (revision = readHeader(reader.bytes())),
    2: (reader) => kvs.push(readKeyValue(reader.bytes())),
    3: (reader) => (more = reader.bool()),
    4: (reader) => (count = Number(reader.int64())),
  });
  return { revision, kvs, more, count };
}

/** Decodes the `TxnResponse` of a guarded write. */
export function decodeGuardedWrite(bytes: Uint8Array): GuardedWriteResponse {
  let revision = 0;
  let succeeded = false;
  let current: EtcdKeyValue | undefined;
  readMessage(bytes, {
    1: (reader) => (revision = readHeader(reader.bytes())),
    2: (reader) => (succeeded = reader.bool()),
    3: (reader) =>
      readMessage(reader.bytes(), { 1: (range) => (current = decodeRange(range.bytes()).kvs[0] ?? current) }),
  });
  return { succeeded, revision, current: succeeded ? undefined : current };
}

/** Decodes a `WatchResponse` of etcd's API. */
export function decodeWatch(bytes: Uint8Array): WatchResponse {
  let revision = 0;
  let created = false;
  let canceled = false;
  let compactRevision = 0;
  let cancelReason = "";
  const events: EtcdEvent[] = [];
  readMessage(bytes, {
    1: (reader) => (revision = readHeader(reader.bytes())),
    3: (reader) => (created = reader.bool()),
    4: (reader) => (canceled = reader.bool()),
    5: (reader) => (compactRevision = Number(reader.int64())),
    6: (reader) => (cancelReason = reader.string()),
    11: (reader) => events.push(readEvent(reader.bytes())),
  });
  return { revision, created, canceled, compactRevision, cancelReason, events };
}

/** Decodes a `LeaseGrantResponse` and returns the lease's number. */
export function decodeLeaseGrant(bytes: Uint8Array): bigint {
  let id = 0n;
  readMessage(bytes, { 2: (reader) => (id = BigInt(reader.int64())) });
  return id;
}

/** Decodes a `StatusResponse` of etcd's API. */
export function decodeEtcdStatus(bytes: Uint8Array): EtcdStatus {
  let version = "";
  const errors: string[] = [];
  readMessage(bytes, {
    2: (reader) => (version = reader.string()),
    8: (reader) => errors.push(reader.string()),
  });
  return { version, errors };
}

/** Returns the first key after all keys that start with a prefix. */
export function endOfPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}

function guardWriter(key: string, guard: GuardedWrite["guard"]): BinaryWriter {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  const isVersion = "version" in guard;
  integer(writer, 2, isVersion ? TARGET_VERSION : TARGET_MOD_REVISION);
  text(writer, 3, key);
  // A member of a oneof is written even when it is zero.
  writer.tag(isVersion ? 4 : 6, WireType.Varint).int64(isVersion ? guard.version : guard.modRevision);
  return writer.join();
}

/** Adds the write that takes place when the guard holds. */
function put(writer: BinaryWriter, key: string, value: Uint8Array, lease: bigint | undefined): BinaryWriter {
  writer.tag(2, WireType.LengthDelimited).fork().tag(2, WireType.LengthDelimited).fork();
  text(writer, 1, key);
  writer.tag(2, WireType.LengthDelimited).bytes(value);
  if (lease !== undefined) writer.tag(3, WireType.Varint).int64(lease);
  return writer.join().join();
}

function deletion(writer: BinaryWriter, key: string): BinaryWriter {
  writer.tag(2, WireType.LengthDelimited).fork().tag(3, WireType.LengthDelimited).fork();
  return text(writer, 1, key).join().join();
}

function rangeWriter({ key, rangeEnd, limit = 0, revision = 0, countOnly = false }: RangeRequest): BinaryWriter {
  const writer = new BinaryWriter();
  text(writer, 1, key);
  if (rangeEnd !== undefined) text(writer, 2, rangeEnd);
  integer(writer, 3, limit);
  integer(writer, 4, revision);
  if (countOnly) writer.tag(9, WireType.Varint).bool(true);
  return writer;
}

function text(writer: BinaryWriter, field: number, value: string): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).string(value);
}

function integer(writer: BinaryWriter, field: number, value: number): BinaryWriter {
  return value === 0 ? writer : writer.tag(field, WireType.Varint).int64(value);
}

function finished(writer: BinaryWriter): Buffer {
  return Buffer.from(writer.finish());
}

/** Reads fields by number; other fields are skipped. */
function readMessage(bytes: Uint8Array, fields: Readonly<Record<number, (reader: BinaryReader) => unknown>>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    const read = fields[field];
    if (read === undefined) reader.skip(wireType);
    else read(reader);
  }
}

/** Reads the revision of the whole etcd from a `ResponseHeader`. */
function readHeader(bytes: Uint8Array): number {
  let revision = 0;
  readMessage(bytes, { 3: (reader) => (revision = Number(reader.int64())) });
  return revision;
}

function readKeyValue(bytes: Uint8Array): EtcdKeyValue {
  let key = "";
  let modRevision = 0;
  let version = 0;
  let value: Uint8Array = new Uint8Array();
  let lease = 0n;
  readMessage(bytes, {
    1: (reader) => (key = reader.string()),
    3: (reader) => (modRevision = Number(reader.int64())),
    4: (reader) => (version = Number(reader.int64())),
    5: (reader) => (value = reader.bytes()),
    6: (reader) => (lease = BigInt(reader.int64())),
  });
  return { key, modRevision, version, value, ...(lease === 0n ? {} : { lease }) };
}

function readEvent(bytes: Uint8Array): EtcdEvent {
  let isDeletion = false;
  let kv: EtcdKeyValue | undefined;
  readMessage(bytes, {
    1: (reader) => (isDeletion = reader.int32() === 1),
    2: (reader) => (kv = readKeyValue(reader.bytes())),
  });
  return { isDeletion, kv: kv ?? readKeyValue(new Uint8Array()) };
}
