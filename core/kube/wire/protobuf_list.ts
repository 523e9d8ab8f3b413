/** Lists in protobuf. Items may be encoded already, so that a long list is a concatenation. */
import type { ListMeta } from "../meta.ts";
import { listMetaSchema } from "../kinds/meta_v1.ts";
import { formatApiVersion, type Kind } from "../schema.ts";
import { ElementBudget } from "./element_budget.ts";
import { encodeEnvelopeOfPieces } from "./protobuf_envelope.ts";
import { decodeMessage } from "./protobuf_read.ts";
import { encodeField } from "./protobuf_write.ts";

export interface DecodedList {
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
