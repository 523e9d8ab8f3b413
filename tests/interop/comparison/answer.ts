/** Answers as received and as decoded: the value of a body, and how it was encoded. */
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { parse } from "yaml";
import { decodeEnvelope, encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import { decodeMessage, encodeMessage } from "../../../core/kube/wire/protobuf.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import { jsonText } from "../../../core/kube/wire/object_json.ts";
import { WireReader } from "../../../core/kube/wire/wire_format.ts";
import * as kinds from "../../../core/kube/kinds/mod.ts";
import {
  partialObjectMetadataListSchema,
  partialObjectMetadataListV1beta1Schema,
} from "../../../core/kube/kinds/meta_v1.ts";
import type { MessageSchema } from "../../../core/kube/schema.ts";

/** An answer as it was received. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; a repeated header has several values. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: Uint8Array;
  /** What ended the reading of a stream. */
  readonly end?: "events" | "server" | "timeout";
}

/** A decoded body and its encoding. */
export interface ReadBody {
  /** `json`, `json indented`, `yaml`, `protobuf`, `text`…, or how the encoding is not canonical. */
  readonly form: string;
  readonly value: unknown;
}

/** Decodes a body by its Content-Type. A body that cannot be decoded is compared byte by byte. */
export function readBody(answer: RawAnswer, isStream: boolean): ReadBody {
  const type = answer.headers["content-type"]?.[0] ?? "";
  const bytes = answer.headers["content-encoding"]?.[0] === "gzip" && answer.body.length > 0
    ? gunzipSync(answer.body)
    : answer.body;
  if (bytes.length === 0) return { form: "empty", value: null };
  const mediaType = type.split(";")[0]!.trim();
  try {
    if (isStream && answer.status === 200) return readStream(mediaType, bytes);
    if (mediaType === "application/vnd.kubernetes.protobuf") return readProtobuf(bytes);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (mediaType === "application/json") return readJson(text);
    if (mediaType === "application/yaml") return readYaml(text);
    return { form: mediaType.startsWith("text/") ? "text" : mediaType, value: text };
  } catch (error) {
    return { form: `unreadable: ${String(error)}`, value: Buffer.from(bytes).toString("base64") };
  }
}

function readJson(text: string): ReadBody {
  const value: unknown = JSON.parse(text);
  if (text === `${jsonText(value)}\n`) return { form: "json", value };
  // Only kube-openapi omits Go's escapes; the descriptions in our documents need none.
  if (text === jsonText(value) || text === JSON.stringify(value)) return { form: "json without newline", value };
  if (text === jsonText(value, 2)) return { form: "json indented", value };
  return { form: `json written otherwise: ${toSkeleton(text)}`, value };
}

/** Returns a JSON text without its scalars, which shows how two texts with the same values differ. */
function toSkeleton(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|[-+.\w]+/g, "_").replace(/(?:_[:,]?)+/g, "_").slice(0, 200);
}

function readYaml(text: string): ReadBody {
  const value: unknown = parse(text, { intAsBigInt: false, schema: "core" });
  return { form: text === formatYaml(value) ? "yaml" : "yaml written otherwise", value };
}

function readProtobuf(bytes: Uint8Array): ReadBody {
  const { apiVersion, kind, raw } = decodeEnvelope(bytes);
  const schema = findSchema(apiVersion, kind);
  if (schema === undefined) {
    return { form: "protobuf", value: { apiVersion, kind, raw: Buffer.from(raw).toString("hex") } };
  }
  const value = decodeMessage(schema, raw);
  const canonical = encodeEnvelope(apiVersion, kind, encodeMessage(schema, value));
  const isCanonical = Buffer.compare(canonical, bytes) === 0;
  return { form: isCanonical ? "protobuf" : "protobuf written otherwise", value: { kind, apiVersion, ...value } };
}

/** Decodes the events of a watch, each with its form. */
function readStream(mediaType: string, bytes: Uint8Array): ReadBody {
  if (mediaType === "application/vnd.kubernetes.protobuf") {
    const events: unknown[] = [];
    for (const frame of readFrames(bytes)) {
      const { form, value } = readProtobuf(frame.object);
      events.push({ type: frame.type, form, object: value });
    }
    return { form: "protobuf events", value: events };
  }
  const lines = new TextDecoder().decode(bytes).split("\n").filter((line) => line !== "");
  return {
    form: "events",
    value: lines.map((line) => readJson(`${line}\n`)).map(({ form, value }) => ({ form, event: value })),
  };
}

const OTHER_SCHEMAS: Readonly<Record<string, MessageSchema>> = {
  "v1 Status": kinds.statusSchema,
  "meta.k8s.io/v1 PartialObjectMetadata": kinds.partialObjectMetadataSchema,
  "meta.k8s.io/v1 PartialObjectMetadataList": partialObjectMetadataListSchema,
  "meta.k8s.io/v1beta1 PartialObjectMetadata": kinds.partialObjectMetadataSchema,
  "meta.k8s.io/v1beta1 PartialObjectMetadataList": partialObjectMetadataListV1beta1Schema,
  "v1 APIVersions": kinds.apiVersionsSchema,
  "v1 APIGroup": kinds.apiGroupSchema,
  "v1 APIGroupList": kinds.apiGroupListSchema,
  "v1 APIResourceList": kinds.apiResourceListSchema,
};

function findSchema(apiVersion: string, kindName: string): MessageSchema | undefined {
  const other = OTHER_SCHEMAS[`${apiVersion} ${kindName}`];
  if (other !== undefined) return other;
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  const kind = kinds.findKind(group, version, kindName);
  if (kind !== undefined) return kind.schema;
  const item = kinds.ALL_KINDS.find((candidate) =>
    candidate.group === group && candidate.version === version && candidate.listKind === kindName
  );
  return item?.listSchema;
}

/** Reads the type and the object of each event of a protobuf watch. */
function* readFrames(bytes: Uint8Array): Generator<{ readonly type: string; readonly object: Uint8Array }> {
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + Buffer.from(bytes.subarray(at, at + 4)).readUInt32BE();
    const event = new WireReader(bytes.subarray(at + 4, end));
    let type = "";
    let object = new Uint8Array() as Uint8Array;
    while (event.hasMore) {
      if (event.tag("WatchEvent").number === 1) type = event.text();
      else {
        const extension = event.nested();
        extension.tag("RawExtension");
        object = extension.bytes();
      }
    }
    yield { type, object };
    at = end;
  }
}
