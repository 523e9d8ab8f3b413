/** Seeds that several targets share: the vectors of the kinds. */
import { Buffer } from "node:buffer";
import { decodeObject } from "../../../core/kube/codec/decode.ts";
import { parseJson } from "../../../core/kube/codec/json_parser.ts";
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";

import { type Vector, VECTORS } from "../../../core/kube/kinds/testdata/vectors.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { Kind } from "../../../core/kube/schema.ts";
import { join } from "../mutate.ts";
import { type Bytes, encodeText } from "../target.ts";

/** The vector of a kind. */
export function getVector(kind: Kind): Vector {
  return VECTORS[kind.group === "events.k8s.io" ? "events_v1" : kind.plural]!;
}

/** The object of a kind's vector, as it is stored. */
export function vectorObject(kind: Kind): KubeObject {
  const document = parseJson(getVector(kind).json);
  return decodeObject(kind.schema, document.value, document).object;
}

/** The kind that an input is for: its first byte says so, the rest is the body. */
export function kindAndBody(input: Bytes): { readonly kind: Kind; readonly body: Bytes } {
  return { kind: ALL_KINDS[(input[0] ?? 0) % ALL_KINDS.length]!, body: input.subarray(1) };
}

/** An input for a kind. */
export function forKind(kind: Kind, body: Bytes | string): Bytes {
  return join(Uint8Array.of(ALL_KINDS.indexOf(kind)), typeof body === "string" ? encodeText(body) : body);
}

/** Keeps the first byte apart from a change of the rest. */
export function behindKind<T extends unknown[]>(
  change: (body: Bytes, ...rest: T) => Bytes | undefined,
): (input: Bytes, ...rest: T) => Bytes | undefined {
  return (input, ...rest) => {
    const changed = change(input.subarray(1), ...rest);
    return changed && join(input.subarray(0, 1), changed);
  };
}

export function fromBase64(text: string): Bytes {
  return new Uint8Array(Buffer.from(text, "base64"));
}

export const JSON_WORDS: readonly string[] = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  '{"a":',
  '"N":1,',
  '"N":{},',
  '{"":',
  "[[",
  "null",
  "true",
  "1e999",
  "-0",
  "1.0,",
  "\\u0000",
  "\\ud800",
  '"__proto__":{}',
  '"metadata":',
  '"kind":"X",',
  '"apiVersion":"a/b/c"',
  '"labels":{',
  '"managedFields":[',
  " ",
  "\n",
];
