/**
 * The envelope of every protobuf body: four magic bytes, then `runtime.Unknown` (apimachinery
 * `pkg/runtime/serializer/protobuf/protobuf.go`). The items of a list can be encoded in advance, so that a long list is
 * their concatenation.
 */
import { Buffer } from "node:buffer";
import { LENGTH_DELIMITED, WireReader, WireWriter } from "./wire_format.ts";
import { DecodeError } from "../json_value.ts";
import { ElementBudget } from "./element_budget.ts";
import { decodeMessage, encodeField } from "./protobuf.ts";
import type { ListMeta } from "../meta.ts";
import { listMetaSchema } from "../kinds/meta_v1.ts";
import { formatApiVersion, type Kind } from "../schema.ts";

/** A decoded envelope: the type of an object, and the encoded object. */
interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  /** The object in its protobuf encoding. */
  readonly raw: Uint8Array;
}

/** The magic bytes, `k8s` and a zero. */
const MAGIC: readonly number[] = [0x6b, 0x38, 0x73, 0x00];

export function encodeEnvelope(apiVersion: string, kind: string, raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writer.raw(END);
  writer.bytes(2, raw);
  return beginEnvelope(writer, apiVersion, kind);
}

/** Encodes an envelope around a long object without copying it: its pieces become pieces of the result. */
function encodeEnvelopeOfPieces(
  apiVersion: string,
  kind: string,
  raw: readonly Uint8Array[],
): readonly Uint8Array[] {
  const writer = new WireWriter();
  writer.messageHead(2, raw.reduce((sum, piece) => sum + piece.length, 0));
  return [beginEnvelope(writer, apiVersion, kind), ...raw, END];
}

/** The fields contentEncoding and contentType, which are always written and always empty. */
const END = Uint8Array.from([0x1a, 0, 0x22, 0]);

/** Writes everything that precedes the object, and finishes the writer. */
function beginEnvelope(writer: WireWriter, apiVersion: string, kind: string): Uint8Array<ArrayBuffer> {
  const before = writer.size;
  writer.string(2, kind);
  writer.string(1, apiVersion);
  writer.message(1, before);
  writer.raw(MAGIC);
  return writer.finish();
}

/**
 * Encodes one event of a watch around the envelope of its object: four bytes of length, big-endian, then a bare
 * `WatchEvent` (apimachinery `pkg/util/framer/framer.go`, apiserver `pkg/endpoints/handlers/watch.go`).
 */
export function encodeWatchFrame(type: string, envelope: Uint8Array): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writer.nested(2, () => writer.bytes(1, envelope));
  writer.string(1, type);
  const { size } = writer;
  writer.raw([size >>> 24, size >>> 16, size >>> 8, size]);
  return writer.finish();
}

/** Decodes the envelope of a body; throws `DecodeError` with the serializer's message (apimachinery `protobuf.go`). */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length === 0) throw new DecodeError("empty data");
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw new DecodeError(
      `provided data does not appear to be a protobuf message, expected prefix [${MAGIC.join(" ")}]`,
    );
  }
  if (bytes.length === MAGIC.length) throw new DecodeError("empty body");
  return readUnknown(bytes.subarray(MAGIC.length));
}

/** The names of the fields of `runtime.Unknown`, by number. */
const UNKNOWN_FIELDS = ["", "TypeMeta", "Raw", "ContentEncoding", "ContentType"] as const;
const TYPE_META_FIELDS = ["", "APIVersion", "Kind"] as const;

function readUnknown(bytes: Uint8Array): Envelope {
  const envelope = { apiVersion: "", kind: "", raw: new Uint8Array() as Uint8Array };
  readFields("Unknown", UNKNOWN_FIELDS, bytes, (name, content) => {
    if (name === "TypeMeta") Object.assign(envelope, readTypeMeta(envelope, content));
    else if (name === "Raw") envelope.raw = content;
  });
  return envelope;
}

function readTypeMeta(before: { readonly apiVersion: string; readonly kind: string }, bytes: Uint8Array) {
  const typeMeta = { apiVersion: before.apiVersion, kind: before.kind };
  readFields("TypeMeta", TYPE_META_FIELDS, bytes, (name, content) => {
    const text = Buffer.from(content).toString("utf8");
    if (name === "APIVersion") typeMeta.apiVersion = text;
    else typeMeta.kind = text;
  });
  return typeMeta;
}

/** Decodes a message whose known fields are all length-delimited. */
function readFields<const Names extends readonly string[]>(
  message: string,
  names: Names,
  bytes: Uint8Array,
  take: (name: Names[number], content: Uint8Array) => void,
): void {
  const reader = new WireReader(bytes);
  while (reader.hasMore) {
    const { number, wireType } = reader.tag(message);
    const name = names[number];
    if (name === undefined) {
      reader.skip(wireType);
      continue;
    }
    if (wireType !== LENGTH_DELIMITED) throw new DecodeError(`proto: wrong wireType = ${wireType} for field ${name}`);
    take(name, reader.bytes());
  }
}

interface DecodedList {
  readonly metadata: ListMeta;
  readonly items: readonly Record<string, unknown>[];
}

export function encodeListItem(kind: Kind, object: object): Uint8Array {
  return encodeField(2, kind.schema, object);
}

/** Encodes a list with its envelope from items that `encodeListItem` has encoded, which become pieces of the result. */
export function encodeListOfItems(
  kind: Kind,
  listMeta: ListMeta,
  items: readonly Uint8Array[],
): readonly Uint8Array[] {
  const meta = encodeField(1, listMetaSchema, listMeta);
  return encodeEnvelopeOfPieces(formatApiVersion(kind), kind.listKind, [meta, ...items]);
}

/** Decodes the `raw` of a list's envelope; throws `DecodeError`. */
export function decodeList(kind: Kind, raw: Uint8Array): DecodedList {
  const { metadata, items } = decodeMessage(kind.listSchema, raw, ElementBudget.unlimited());
  return { metadata: metadata as ListMeta, items: (items ?? []) as Record<string, unknown>[] };
}
