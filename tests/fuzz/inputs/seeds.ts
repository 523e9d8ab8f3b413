/** Seeds that several targets share: the vectors of the kinds. */
import { Buffer } from "node:buffer";
import { decodeObject, encodeObject, jsonText } from "../../../core/kube/wire/object_json.ts";
import { parseJson } from "../../../core/kube/wire/json_parser.ts";
import { encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import { encodeMessage } from "../../../core/kube/wire/protobuf.ts";
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import { type Vector, VECTORS } from "../../../core/kube/kinds/testdata/vectors.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { type FieldType, formatApiVersion, type Kind, type MessageSchema } from "../../../core/kube/schema.ts";
import { TLSBOOT_GROUP } from "../../../core/kube/kinds/constants.ts";
import { join } from "../mutate.ts";
import { type Bytes, encodeText } from "../target.ts";

/**
 * Returns the vector of a kind: the upstream vector, or for tlsboot's own kinds an object with every field in our
 * encodings.
 */
export function getVector(kind: Kind): Vector {
  if (kind.group !== TLSBOOT_GROUP) return VECTORS[kind.group === "events.k8s.io" ? "events_v1" : kind.plural]!;
  const metadata = { name: "n", labels: { a: "b" } };
  const { object } = decodeObject(kind.schema, { ...fullMessage(kind.schema), ...VALID[kind.plural], metadata });
  const written = encodeObject(kind, object);
  const body = encodeEnvelope(formatApiVersion(kind), kind.kind, encodeMessage(kind.schema, object));
  return {
    json: jsonText(written),
    yaml: formatYaml(written),
    protobuf: Buffer.from(body).toString("base64"),
  };
}

/** Valid objects of kinds that are invalid with every field. A revocation, for example, has one target. */
const VALID: Readonly<Record<string, object>> = {
  revocations: { spec: { token: "abcdef", includeCertificates: true, reason: "keyCompromise", message: "m" } },
};

function fullMessage({ fields }: MessageSchema): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, field.enum?.[0] ?? fullValue(field.type)]),
  );
}

function fullValue(type: FieldType): unknown {
  switch (type.kind) {
    case "string":
    case "quantity":
      return "1";
    case "bytes":
      return "AQ==";
    case "int32":
    case "int64":
    case "intOrString":
      return 1;
    case "bool":
      return true;
    case "time":
    case "microTime":
      return "2026-01-01T00:00:00Z";
    case "json":
      return {};
    case "message":
      return fullMessage(type);
    case "list":
      return [fullValue(type.of)];
    case "map":
      return { a: fullValue(type.of) };
  }
}

/** Returns the object of a kind's vector, as it is stored. */
export function vectorObject(kind: Kind): KubeObject {
  const document = parseJson(getVector(kind).json);
  return decodeObject(kind.schema, document.value, document).object;
}

/** Splits an input into the kind, which its first byte selects, and the body. */
export function kindAndBody(input: Bytes): { readonly kind: Kind; readonly body: Bytes } {
  return { kind: ALL_KINDS[(input[0] ?? 0) % ALL_KINDS.length]!, body: input.subarray(1) };
}

/** Creates an input that selects a kind and has a body. */
export function forKind(kind: Kind, body: Bytes | string): Bytes {
  return join(Uint8Array.of(ALL_KINDS.indexOf(kind)), typeof body === "string" ? encodeText(body) : body);
}

/** Limits a change to the bytes after the first one. */
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
  '{"a":',
  '"N":1,',
  '"N":{},',
  '{"":',
  "1e999",
  "1.0,",
  "\\u0000",
  "\\ud800",
  '"__proto__":{}',
  '"metadata":',
  '"kind":"X",',
  '"apiVersion":"a/b/c"',
  '"labels":{',
  '"managedFields":[',
];
