/** Lists in protobuf; items may come encoded already, so that a long list is a concatenation. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ListMeta } from "../meta.ts";
import { listSchemaOf } from "../kinds/list.ts";
import { listMetaSchema } from "../kinds/meta_v1.ts";
import { apiVersionOf, type Kind } from "../schema.ts";
import { encodeEnvelope } from "./protobuf_envelope.ts";
import { decodeMessage } from "./protobuf_read.ts";
import { encodeMessage } from "./protobuf_write.ts";

/** A list as it was read. */
export interface DecodedList {
  readonly metadata: ListMeta;
  readonly items: readonly Record<string, unknown>[];
}

/** Encodes a list with its envelope. */
export function encodeList(kind: Kind, listMeta: ListMeta, items: Iterable<object>): Uint8Array<ArrayBuffer> {
  return encodeListOfRaw(kind, listMeta, Array.from(items, (item) => encodeMessage(kind.schema, item)));
}

/** Encodes a list with its envelope from items that `encodeMessage` made. */
export function encodeListOfRaw(
  kind: Kind,
  listMeta: ListMeta,
  rawItems: Iterable<Uint8Array>,
): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).bytes(encodeMessage(listMetaSchema, listMeta));
  for (const raw of rawItems) writer.tag(2, WireType.LengthDelimited).bytes(raw);
  return encodeEnvelope(apiVersionOf(kind), kind.listKind, writer.finish());
}

/** Decodes the `raw` of a list's envelope; throws `DecodeError`. */
export function decodeList(kind: Kind, raw: Uint8Array): DecodedList {
  const { metadata, items } = decodeMessage(listSchemaOf(kind), raw);
  return { metadata: metadata as ListMeta, items: (items ?? []) as Record<string, unknown>[] };
}
