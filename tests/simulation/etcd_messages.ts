/**
 * The messages of etcd's v3 API as a member reads and writes them (etcd `rpc.proto` and `kv.proto`). Keys are strings
 * with one character per byte, so that they compare like bytes.
 */
import { Buffer } from "node:buffer";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** A read of a key, or of the keys from `key` up to `rangeEnd`. */
export interface ModelRange {
  readonly key: string;
  readonly rangeEnd: string;
  readonly limit: number;
  /** The revision to read at; 0 for the newest. */
  readonly revision: number;
  readonly countOnly: boolean;
}

/** A condition of a transaction: the version or the last revision of a key has this value. */
interface ModelGuard {
  readonly key: string;
  readonly target: "version" | "modRevision";
  readonly value: number;
}

export type ModelOperation =
  | { readonly kind: "range"; readonly range: ModelRange }
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array; readonly lease: bigint }
  | { readonly kind: "delete"; readonly key: string };

export interface ModelTransaction {
  readonly guards: readonly ModelGuard[];
  readonly success: readonly ModelOperation[];
  readonly failure: readonly ModelOperation[];
}

/** A key with its value and revisions. */
export interface ModelKeyValue {
  readonly key: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly value: Uint8Array;
  readonly lease: bigint;
}

export interface ModelRangeAnswer {
  readonly kvs: readonly ModelKeyValue[];
  readonly more: boolean;
  readonly count: number;
}

/** The answer of one operation; `deleted` counts the keys of a deletion. */
export type ModelOperationAnswer =
  | { readonly kind: "range"; readonly range: ModelRangeAnswer }
  | { readonly kind: "put" }
  | { readonly kind: "delete"; readonly deleted: number };

type ModelWatchRequest =
  | { readonly kind: "create"; readonly key: string; readonly rangeEnd: string; readonly startRevision: number }
  | { readonly kind: "progress" };

/** One message of a watch. */
interface ModelWatchAnswer {
  readonly revision: number;
  readonly created?: boolean;
  readonly compactRevision?: number;
  readonly events?: readonly { readonly isDeletion: boolean; readonly kv: ModelKeyValue }[];
}

export function decodeModelRange(bytes: Uint8Array): ModelRange {
  const range = { key: "", rangeEnd: "", limit: 0, revision: 0, countOnly: false };
  readFields(bytes, {
    1: (reader) => (range.key = readKey(reader)),
    2: (reader) => (range.rangeEnd = readKey(reader)),
    3: (reader) => (range.limit = readNumber(reader)),
    4: (reader) => (range.revision = readNumber(reader)),
    9: (reader) => (range.countOnly = reader.bool()),
  });
  return range;
}

export function decodeModelTransaction(bytes: Uint8Array): ModelTransaction {
  const guards: ModelGuard[] = [];
  const success: ModelOperation[] = [];
  const failure: ModelOperation[] = [];
  readFields(bytes, {
    1: (reader) => guards.push(readGuard(reader.bytes())),
    2: (reader) => success.push(readOperation(reader.bytes())),
    3: (reader) => failure.push(readOperation(reader.bytes())),
  });
  return { guards, success, failure };
}

export function decodeModelWatch(bytes: Uint8Array): ModelWatchRequest {
  let request: ModelWatchRequest | undefined;
  readFields(bytes, {
    1: (reader) => {
      const create = { kind: "create" as const, key: "", rangeEnd: "", startRevision: 0 };
      readFields(reader.bytes(), {
        1: (fields) => (create.key = readKey(fields)),
        2: (fields) => (create.rangeEnd = readKey(fields)),
        3: (fields) => (create.startRevision = readNumber(fields)),
        // Etcd would send progress messages every ten minutes without changes. Nothing waits for them.
        4: (fields) => fields.bool(),
      });
      request = create;
    },
    3: (reader) => {
      reader.bytes();
      request = { kind: "progress" };
    },
  });
  if (request === undefined) throw new Error("the model does not support this watch request");
  return request;
}

/** Reads a message whose first field is a number: a compaction's revision, or the seconds of a lease. */
export function decodeModelNumber(bytes: Uint8Array): number {
  let number = 0;
  readFields(bytes, { 1: (reader) => (number = readNumber(reader)) });
  return number;
}

export function encodeModelRange(revision: number, answer: ModelRangeAnswer): Buffer {
  return finish(writeRange(writeHeader(new BinaryWriter(), revision), answer));
}

export function encodeModelTransaction(
  revision: number,
  succeeded: boolean,
  answers: readonly ModelOperationAnswer[],
): Buffer {
  const writer = writeHeader(new BinaryWriter(), revision);
  if (succeeded) writer.uint32(16).bool(true);
  for (const answer of answers) {
    writer.uint32(26).fork();
    if (answer.kind === "range") writeRange(writeHeader(writer.uint32(10).fork(), revision), answer.range).join();
    if (answer.kind === "put") writeHeader(writer.uint32(18).fork(), revision).join();
    if (answer.kind === "delete") {
      writeHeader(writer.uint32(26).fork(), revision).uint32(16).int64(answer.deleted).join();
    }
    writer.join();
  }
  return finish(writer);
}

export function encodeModelWatch({ revision, created, compactRevision, events = [] }: ModelWatchAnswer): Buffer {
  const writer = writeHeader(new BinaryWriter(), revision);
  if (created === true) writer.uint32(24).bool(true);
  if (compactRevision !== undefined) writer.uint32(32).bool(true).uint32(40).int64(compactRevision);
  for (const { isDeletion, kv } of events) {
    writer.uint32(90).fork();
    if (isDeletion) writer.uint32(8).int32(1);
    writeKeyValue(writer.uint32(18).fork(), kv).join();
    writer.join();
  }
  return finish(writer);
}

export function encodeModelLease(revision: number, id: bigint, ttlSeconds: number): Buffer {
  return finish(writeHeader(new BinaryWriter(), revision).uint32(16).int64(id).uint32(24).int64(ttlSeconds));
}

export function encodeModelStatus(revision: number, version: string): Buffer {
  return finish(writeHeader(new BinaryWriter(), revision).uint32(18).string(version));
}

export function encodeModelHeader(revision: number): Buffer {
  return finish(writeHeader(new BinaryWriter(), revision));
}

function readFields(bytes: Uint8Array, fields: Readonly<Record<number, (reader: BinaryReader) => unknown>>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const read = fields[number];
    if (read === undefined) throw new Error(`the model does not support field ${number} (wire type ${wireType})`);
    read(reader);
  }
}

function readGuard(bytes: Uint8Array): ModelGuard {
  let key = "";
  let target: ModelGuard["target"] = "version";
  let value = 0;
  readFields(bytes, {
    2: (reader) => (target = reader.int32() === 2 ? "modRevision" : "version"),
    3: (reader) => (key = readKey(reader)),
    4: (reader) => (value = readNumber(reader)),
    6: (reader) => (value = readNumber(reader)),
  });
  return { key, target, value };
}

function readOperation(bytes: Uint8Array): ModelOperation {
  let operation: ModelOperation | undefined;
  readFields(bytes, {
    1: (reader) => (operation = { kind: "range", range: decodeModelRange(reader.bytes()) }),
    2: (reader) => {
      const put = { kind: "put" as const, key: "", value: new Uint8Array(), lease: 0n };
      readFields(reader.bytes(), {
        1: (fields) => (put.key = readKey(fields)),
        2: (fields) => (put.value = Uint8Array.from(fields.bytes())),
        3: (fields) => (put.lease = BigInt(fields.int64())),
      });
      operation = put;
    },
    3: (reader) => {
      let key = "";
      readFields(reader.bytes(), { 1: (fields) => (key = readKey(fields)) });
      operation = { kind: "delete", key };
    },
  });
  if (operation === undefined) throw new Error("the model does not support this operation");
  return operation;
}

function readKey(reader: BinaryReader): string {
  return Buffer.from(reader.bytes()).toString("latin1");
}

function readNumber(reader: BinaryReader): number {
  return Number(reader.int64());
}

function writeHeader(writer: BinaryWriter, revision: number): BinaryWriter {
  return writer.uint32(10).fork().uint32(24).int64(revision).join();
}

function writeRange(writer: BinaryWriter, { kvs, more, count }: ModelRangeAnswer): BinaryWriter {
  for (const kv of kvs) writeKeyValue(writer.uint32(18).fork(), kv).join();
  if (more) writer.uint32(24).bool(true);
  if (count !== 0) writer.uint32(32).int64(count);
  return writer;
}

function writeKeyValue(writer: BinaryWriter, kv: ModelKeyValue): BinaryWriter {
  writer.uint32(10).bytes(Buffer.from(kv.key, "latin1"));
  if (kv.createRevision !== 0) writer.uint32(16).int64(kv.createRevision);
  writer.uint32(24).int64(kv.modRevision);
  if (kv.version !== 0) writer.uint32(32).int64(kv.version);
  if (kv.value.length > 0) writer.uint32(42).bytes(kv.value);
  if (kv.lease !== 0n) writer.uint32(48).int64(kv.lease);
  return writer;
}

function finish(writer: BinaryWriter): Buffer {
  const { buffer, byteOffset, byteLength } = writer.finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}
