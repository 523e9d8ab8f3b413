/** Protobuf: objects with and without their envelope, and lists. */
import { encodeObject, jsonText } from "../../../core/kube/wire/object_json.ts";
import { decodeEnvelope, encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import { decodeMessage, encodeMessage } from "../../../core/kube/wire/protobuf.ts";
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";
import { formatApiVersion, type Kind } from "../../../core/kube/schema.ts";
import { assertSame, attempt } from "../oracle.ts";
import { PROTOBUF } from "../structure/protobuf.ts";
import type { Bytes, Target } from "../target.ts";
import { behindKind, forKind, fromBase64, getVector, kindAndBody } from "../inputs/seeds.ts";

const WORDS = ["\n\u0000", "\u0012\u0000", "\u001a\u0002\n\u0000", "k8s\u0000", "\u0010\u0001", "\u0013", "\u0014"];

/** `protobuf`: a message of a kind and of its list. */
export const protobuf: Target = {
  seeds: ALL_KINDS.map((kind) => forKind(kind, new Uint8Array(decodeEnvelope(getProtobufVector(kind)).raw))),
  words: WORDS,
  maxBytes: 3 * 2 ** 20,
  restructure: behindKind(PROTOBUF.restructure),
  inflate: behindKind(PROTOBUF.inflate),
  run(input) {
    const { kind, body } = kindAndBody(input);
    const list = attempt(() => decodeMessage(kind.listSchema, body));
    return `${attempt(() => checkMessage(kind, body))} ${list}`;
  },
};

/** `envelope`: the envelope of a message. */
export const envelope: Target = {
  seeds: ALL_KINDS.slice(0, 4).map(getProtobufVector),
  words: WORDS,
  maxBytes: 3 * 2 ** 20,
  restructure: (input, random) => {
    const changed = PROTOBUF.restructure(input.slice(4), random);
    return changed && new Uint8Array([...input.subarray(0, 4), ...changed]);
  },
  run(input) {
    return attempt(() => {
      const { apiVersion, kind, raw } = decodeEnvelope(input);
      const again = decodeEnvelope(encodeEnvelope(apiVersion, kind, raw));
      assertSame([again.apiVersion, again.kind], [apiVersion, kind], "envelope");
    });
  },
};

function getProtobufVector(kind: Kind): Bytes {
  return fromBase64(getVector(kind).protobuf);
}

function checkMessage(kind: Kind, body: Bytes): void {
  const object = decodeMessage(kind.schema, body);
  jsonText(encodeObject({ ...kind, apiVersion: formatApiVersion(kind) }, object));
  const written = encodeMessage(kind.schema, object);
  const again = decodeMessage(kind.schema, written);
  assertSame(again, object, "decoded again");
  assertSame(Array.from(encodeMessage(kind.schema, again)), Array.from(written), "encoded again");
}
